#!/usr/bin/env bash
# Pint: 3000 rpm are 314 Hz, and 50 Hz are 477 rpm.
# Guess: a shaft at 3000 revolutions per minute turns 50 times a second: 50 Hz.
# Version: Pint 0.25.3 (udunits2 is told to do the same: r-quantities/units issue 318).
# Seen: a revolution is 2 pi radians, a radian is 1, Hz is 1/s: rpm to Hz is off by 2 pi, and 50 Hz in rad/s are 50.
#   No error, as both are 1/[time]. Bearing frequencies and vibration bands land elsewhere.
# Source: Pint issues 182, 531 and 1540.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check pint==0.25.3
cd "$work"
v/bin/python - <<'PY'
import math, sys
import pint
units = pint.UnitRegistry()
hertz = units.Quantity(3000, "rpm").to("Hz").magnitude
rpm = units.Quantity(50, "Hz").to("rpm").magnitude
radians = units.Quantity(50, "Hz").to("rad/s").magnitude
print("expected: 3000 rpm = 50 Hz, 50 Hz = 3000 rpm, 50 Hz = 314.2 rad/s")
print(f"seen:     3000 rpm = {hertz:.1f} Hz, 50 Hz = {rpm:.1f} rpm, 50 Hz = {radians:.1f} rad/s")
same = math.isclose(hertz, 100 * math.pi) and math.isclose(rpm, 1500 / math.pi) and math.isclose(radians, 50)
sys.exit(0 if same else "The behaviour has changed.")
PY
