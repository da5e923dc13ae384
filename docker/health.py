#!/usr/bin/env python3
"""Whether this container's service is well: its health address answers 200.

The address is in HEALTH_URL; a container without one runs no service, and is well while it runs.
"""

from __future__ import annotations

import os
import sys
import urllib.request

url = os.environ.get("HEALTH_URL")
if url:
    try:
        urllib.request.urlopen(url, timeout=4).close()
    except OSError as error:
        sys.exit(f"{url}: {error}")
