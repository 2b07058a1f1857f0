"""Alembic's environment: the connection and its transaction come from `stores.migrate`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
