"""Raw files to one table, a row an image: `identity`, `header`, `adapters`, `index`, `exclude`, `split`, `ledger`."""
