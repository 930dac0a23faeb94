//! One bit, anywhere in what is stored: `verify` finds it and says where.
