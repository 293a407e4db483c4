"""The database: schema, migrations, transactions and group commit, on SQLite and PostgreSQL.

The upper rooms speak to `Database` and hand it queries; nothing above this room knows which database it is.
"""
