-- How much depends on machines and channels, as the dataset file says.

ALTER TABLE tsad.entity ADD COLUMN criticality text NOT NULL DEFAULT 'normal' CHECK (criticality IN ('low', 'normal', 'high'));
ALTER TABLE tsad.channel ADD COLUMN criticality text NOT NULL DEFAULT 'normal' CHECK (criticality IN ('low', 'normal', 'high'));
COMMENT ON COLUMN tsad.entity.criticality IS 'How much depends on it, as the dataset file said when it was last scored.';
COMMENT ON COLUMN tsad.channel.criticality IS 'How much depends on it, as the dataset file said when it was last scored.';
