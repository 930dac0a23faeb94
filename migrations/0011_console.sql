-- What is at a place, item by item. Neither column ever changes, so updates of levels stay as cheap as they are.
CREATE INDEX view_stock_level_location ON view_stock_level (tenant_id, location, sku);
