"""The programs that people type: each folder or file here is one of them."""
