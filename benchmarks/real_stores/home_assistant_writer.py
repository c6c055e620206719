"""Home Assistant's core and recorder without its house: states of past days, by its own writer.

Usage: python home_assistant_writer.py URL FOLDER, in the environment of Home Assistant; states come
as lines of standard input: epoch, entity id, state and unit, apart by tabs.

The only clock that is set is the one by which the core gives a state its time.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from homeassistant import config_entries, core, loader
from homeassistant.components.recorder import get_instance
from homeassistant.helpers import entity
from homeassistant.helpers import recorder as recorder_helper
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as clock


async def main(url: str, folder: str) -> None:
    """Start, set states, and end once all are committed."""
    home = core.HomeAssistant(folder)
    home.config.skip_pip = True
    loader.async_setup(home)
    home.config_entries = config_entries.ConfigEntries(home, {})
    entity.async_setup(home)
    recorder_helper.async_initialize_recorder(home)
    settings = {"recorder": {"db_url": url, "commit_interval": 1, "auto_purge": False}}
    if not await async_setup_component(home, "recorder", settings):
        sys.exit("Expected a recorder. Received: none, see above.")
    await home.async_start()
    await home.async_block_till_done()
    now = clock.utcnow
    for line in sys.stdin:
        second, entity_id, state, unit = line.rstrip("\n").split("\t")
        at = datetime.fromtimestamp(float(second), UTC)
        clock.utcnow = lambda at=at: at
        given = {"unit_of_measurement": unit} if unit else {}
        # Without a context the core asks another clock.
        home.states.async_set(entity_id, state, given, context=core.Context())
        await asyncio.sleep(0)
    clock.utcnow = now
    await home.async_block_till_done()
    await get_instance(home).async_block_till_done()
    await home.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
