# SPDX-License-Identifier: EUPL-1.2
"""Parts of statements about circles: those on one youngster who were all told of each other are one row (`told_circle`,
docs/decisions/0027). Read under the matcher's lock."""

# Who is in a circle no more, or no more as who it was (the reporter, the named officer), takes along what else the
# circle said of it: from then on that is said of each two. `circle`: those of these youngsters as they are; `stay`: who
# is in them from now on.
CIRCLE = """
circle AS MATERIALIZED (
    SELECT c.youngster_id, m.id, m.to_officer FROM told_circle c
    CROSS JOIN LATERAL (SELECT unnest(c.reporters) AS id, false AS to_officer
                        UNION ALL SELECT unnest(c.officers), true) m
    WHERE c.youngster_id = ANY({youngsters})
)
"""
SPILL = """
    INSERT INTO told (standing_id, contact_id, kind, to_officer)
    SELECT DISTINCT r.id, x.id, 'youngster', r.to_officer
    FROM (SELECT DISTINCT youngster_id FROM (SELECT * FROM circle EXCEPT SELECT * FROM stay) leaves) l
    JOIN circle r ON r.youngster_id = l.youngster_id JOIN circle x ON x.youngster_id = l.youngster_id
    JOIN standing rs ON rs.id = r.id JOIN standing xs ON xs.id = x.id AND xs.reporter_id <> rs.reporter_id
    WHERE NOT (EXISTS (SELECT FROM stay s WHERE s.id = r.id AND s.to_officer = r.to_officer)
               AND EXISTS (SELECT FROM stay s WHERE s.id = x.id))
"""
