import { listen } from "../../src/actors/listen.ts";
import { setup } from "../../src/actors/setup.ts";
import { defineVm } from "../../src/actors/vm.ts";
import { fakeVms } from "./fake-vm.ts";

// A server of fake VMs as a program of its own, configured like the real one. What they run is told on stderr.
const { PORT, AGENT_VM_DATA, AGENT_VM_TOKEN } = process.env;
const registry = setup({
  use: { vm: defineVm({}, fakeVms((command) => process.stderr.write(`${command}\n`)).create) },
  port: Number(PORT),
  ...(AGENT_VM_DATA !== undefined && { dataDir: AGENT_VM_DATA }),
  token: AGENT_VM_TOKEN,
});
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
