-- Notes that hours were read as retirements say, where they still say so.
UPDATE tsad.retirement r SET is_read = u.holds
FROM unnest(%(retirement_id)s::bigint[], %(holds)s::boolean[]) AS u(retirement_id, holds)
WHERE r.retirement_id = u.retirement_id AND (r.withdrawn_at IS NULL) = u.holds
