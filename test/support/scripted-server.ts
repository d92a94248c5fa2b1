import { listen } from "../../src/actors/listen.ts";
import { setup } from "../../src/actors/setup.ts";
import { exitOnSignals } from "../../src/actors/signals.ts";
import { vmActor } from "../../src/actors/vm.ts";
import { withScripted } from "./scripted.ts";

// A server of real VMs with the scripted agent, as a program of its own.
const { PORT, AGENT_VM_DATA } = process.env;
const registry = setup({
  use: { vm: vmActor(withScripted) },
  port: Number(PORT),
  ...(AGENT_VM_DATA !== undefined && { dataDir: AGENT_VM_DATA }),
});
exitOnSignals();
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
