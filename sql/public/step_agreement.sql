CREATE OR REPLACE FUNCTION tsad.step_agreement(scores real[], other_scores real[])
RETURNS TABLE (n_paired int, n_agreed int, n_flags int, n_other_flags int)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (count(*) FILTER (WHERE s.other IS NOT NULL AND s.own IS NOT NULL))::int,
         -- A score of 1 to the bit is a channel's first move: a model that was trained since then knows of it, as it should.
         (count(*) FILTER (WHERE (s.other > 0) = (s.own > 0) OR (s.own IS NOT NULL AND s.other = 1) OR (s.other IS NOT NULL AND s.own = 1)))::int,
         (count(*) FILTER (WHERE s.own > 0 AND s.other IS NOT NULL))::int,
         (count(*) FILTER (WHERE s.other > 0 AND s.own IS NOT NULL))::int
  FROM unnest(scores, other_scores) AS s (own, other)
$$;

COMMENT ON FUNCTION tsad.step_agreement IS 'Two models on the steps of an hour that both have scored: how many, where both flag or neither does (or one flags a first move, a score of 1, that the other knows), and what each flags.';

-- A computation on its arguments alone. PUBLIC may run it: a view asks it with the rights of whoever reads the view.
GRANT EXECUTE ON FUNCTION tsad.step_agreement TO PUBLIC;
