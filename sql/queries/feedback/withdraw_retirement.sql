-- Takes back that an entity is retired; how many times that had been said.
SELECT tsad.unretire_entity(%(dataset)s, %(entity)s, %(why)s, %(said_by)s) AS n_withdrawn
