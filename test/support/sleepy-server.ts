import { listen, setup, vmActor } from "../../src/index.ts";

// A server of real VMs as a program of its own, configured like the ready-made one, that puts idle ones to sleep soon.
const { PORT, AGENT_VM_DATA, SLEEP_TIMEOUT_MS } = process.env;
const registry = setup({
  use: { vm: vmActor({ sleepTimeoutMs: Number(SLEEP_TIMEOUT_MS) }) },
  port: Number(PORT),
  ...(AGENT_VM_DATA !== undefined && { dataDir: AGENT_VM_DATA }),
});
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
