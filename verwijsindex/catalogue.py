# SPDX-License-Identifier: EUPL-1.2
"""A database's form as lines of text: tables, constraints, triggers, policies, and what each role may do (I8).

Two databases with the same lines guard their rows in the same way: a restored one is compared with the one that was
backed up, and the operator sees which line differs. No row's value is in it (I5).
"""

import re
from collections.abc import Collection

from sqlalchemy import Connection, text

# Grants one by one and in no order of their own: they come back from a dump in another one. What nobody ever granted
# is NULL in the catalogue, and means the default.
_LINES = text(
    """
WITH relation AS (
    SELECT c.*, quote_ident(c.relname) AS name FROM pg_class c
    WHERE c.relnamespace = CAST('public' AS regnamespace) AND c.relkind IN ('r', 'p', 'v', 'S')
), routine AS (
    SELECT p.*, CAST(CAST(p.oid AS regprocedure) AS text) AS name FROM pg_proc p
    WHERE p.pronamespace = CAST('public' AS regnamespace)
)
SELECT format('relation %s kind %s owner %s row security %s forced %s options %s', name, relkind,
              pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, reloptions) FROM relation
UNION ALL
SELECT format('column %s.%I %s not null %s default %s identity %s', r.name, a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity)
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind <> 'S'
UNION ALL
SELECT format('grant %s on %s to %s', g.privilege_type, r.name, g.grantee_name)
FROM relation r, LATERAL (
    SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS grantee_name
    FROM aclexplode(coalesce(r.relacl,
        acldefault(CAST(CASE r.relkind WHEN 'S' THEN 's' ELSE 'r' END AS "char"), r.relowner)))) g
UNION ALL
SELECT format('grant %s (%I) on %s to %s', g.privilege_type, a.attname, r.name,
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END)
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND NOT a.attisdropped, LATERAL aclexplode(a.attacl) g
UNION ALL
SELECT format('constraint %s.%I %s', r.name, c.conname, pg_get_constraintdef(c.oid))
FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
UNION ALL
SELECT pg_get_indexdef(i.indexrelid) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL
SELECT format('%s enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('view %s %s', name, md5(pg_get_viewdef(oid))) FROM relation WHERE relkind = 'v'
UNION ALL
SELECT format('policy %I on %I %s for %s to %s using %s check %s', policyname, tablename, permissive, cmd, roles, qual,
              with_check)
FROM pg_policies WHERE schemaname = 'public'
UNION ALL
SELECT format('function %s owner %s definer %s body %s', name, pg_get_userbyid(proowner), prosecdef,
              md5(pg_get_functiondef(oid))) FROM routine
UNION ALL
SELECT format('grant %s on %s to %s', g.privilege_type, r.name,
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END)
FROM routine r, LATERAL aclexplode(coalesce(r.proacl, acldefault('f', r.proowner))) g
UNION ALL
SELECT format('grant %s on schema public to %s', g.privilege_type,
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END)
FROM pg_namespace n, LATERAL aclexplode(n.nspacl) g WHERE n.nspname = 'public'
UNION ALL
SELECT format('grant %s on the database to %s', g.privilege_type,
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END)
FROM pg_database d, LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) g
WHERE d.datname = current_database()
UNION ALL
SELECT format('role %s superuser %s passes row security %s login %s settings %s', rolname, rolsuper, rolbypassrls,
              rolcanlogin, (SELECT array_agg(one ORDER BY one) FROM unnest(rolconfig) one))
FROM pg_roles WHERE rolname = ANY(:roles)
UNION ALL
SELECT format('member %s of %s', pg_get_userbyid(member), pg_get_userbyid(roleid)) FROM pg_auth_members
WHERE pg_get_userbyid(member) = ANY(:roles)
"""
)

_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename COLLATE \"C\"")
_NUMBERED = text(
    "SELECT table_name, column_name, pg_get_serial_sequence(format('public.%I', table_name), column_name) AS sequence"
    " FROM information_schema.columns WHERE table_schema = 'public' AND is_identity = 'YES' ORDER BY table_name"
)
_KEYED = text(
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    " AND column_name IN ('key_version', 'previous_key_version') ORDER BY table_name"
)


def lines(connection: Connection, roles: Collection[str]) -> list[str]:
    """The form of the database, sorted; of `roles` also what they are, and how PostgreSQL treats their sessions."""
    return sorted(_as_dumped(line) for line in connection.execute(_LINES, {"roles": list(roles)}).scalars())


def _as_dumped(line: str) -> str:
    """`IN ('a', 'b')` on a varchar is cast as a whole when it is made and one by one when it comes from a dump: that
    means the same, and is written here without the casts."""
    line = re.sub(r"\(('[^']*')::character varying\)::text|('[^']*')::character varying", r"\1\2", line)
    return re.sub(r"\((ARRAY\[[^]]*\])\)::text\[\]", r"\1", line)


def tables(connection: Connection) -> list[str]:
    """The names of all tables, sorted; none in a database that was made and not yet migrated."""
    return list(connection.execute(_TABLES).scalars())


def counts(connection: Connection) -> dict[str, int]:
    """The number of rows of each table."""
    return {
        table: connection.execute(text(f'SELECT count(*) FROM public."{table}"')).scalar_one()  # noqa: S608
        for table in tables(connection)
    }


def sequences_behind(connection: Connection) -> list[str]:
    """The columns whose next number is in use already. (A dump's snapshot does not bind sequences, so that their
    values cannot be compared with those of another moment.)"""
    behind = []
    for row in connection.execute(_NUMBERED):
        beyond = text(
            f'SELECT coalesce(max("{row.column_name}"), 0) <= (SELECT last_value FROM {row.sequence})'  # noqa: S608
            f' FROM public."{row.table_name}"'
        )
        if not connection.execute(beyond).scalar_one():
            behind.append(f"{row.table_name}.{row.column_name}")
    return behind


def key_versions(connection: Connection) -> list[int]:
    """The versions of the index key with which anything in the database is sealed."""
    found: set[int] = set()
    for table, column in connection.execute(_KEYED):
        distinct = text(f'SELECT DISTINCT {column} FROM public."{table}" WHERE {column} IS NOT NULL')  # noqa: S608
        found.update(connection.execute(distinct).scalars())
    return sorted(found)
