-- The database of the result store and its two roles, with no more rights than they need. Run once by an
-- administrator of the server; running it again changes nothing but the passwords.
--
--   STAGE4_POSTGRES_PASSWORD=... STAGE4_POSTGRES_READER_PASSWORD=... \
--       psql -X -v ON_ERROR_STOP=1 -h HOST -U postgres -d postgres -f deploy/postgres/roles.sql
--
-- POSTGRES_DB names another database than stage4_clustering. Needs psql 15 or later.
--   stage4_user     the coordinator: creates and migrates its tables, reads and writes their rows
--   stage4_reader   gateways: read those rows
\set database stage4_clustering
\getenv database POSTGRES_DB
\getenv writer_password STAGE4_POSTGRES_PASSWORD
\getenv reader_password STAGE4_POSTGRES_READER_PASSWORD

SELECT 'CREATE ROLE stage4_user' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stage4_user') \gexec
SELECT 'CREATE ROLE stage4_reader' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stage4_reader') \gexec
ALTER ROLE stage4_user LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT 20 PASSWORD :'writer_password';
ALTER ROLE stage4_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'reader_password';

SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING ''UTF8''', :'database')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
\connect :"database"

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO stage4_user, stage4_reader;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO stage4_user;
GRANT USAGE ON SCHEMA public TO stage4_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE stage4_user IN SCHEMA public GRANT SELECT ON TABLES TO stage4_reader;
