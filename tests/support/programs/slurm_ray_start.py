"""Start a node of Ray on loopback as `ray start` with these options would, whose own parser has to know all of them."""

import runpy
import sys
from pathlib import Path

from ray.scripts.scripts import start

command, *words = sys.argv[1:]
assert command == "start"
given = start.make_context("ray start", words).params
assert given["block"]
address = given["address"] or f"{given['node_ip_address']}:{given['port']}"
role = "head" if given["head"] else "node"
folder = Path(f"{given['temp_dir']}-{given['node_name']}")
folder.mkdir(parents=True)
sys.argv[1:] = [role, address, str(folder), str(given["num_cpus"]), str(given["num_gpus"]), "0", given["node_name"]]
runpy.run_path(str(Path(__file__).with_name("ray_node.py")), run_name="__main__")
