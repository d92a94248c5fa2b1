import { runtimeVms } from "../../src/actors/instance.ts";
import { listen } from "../../src/actors/listen.ts";
import { setup } from "../../src/actors/setup.ts";
import { exitOnSignals } from "../../src/actors/signals.ts";
import { defineVm } from "../../src/actors/vm.ts";
import { MAX_RESULT_BYTES } from "../../src/api/limits.ts";
import { BORDER_HEADER, MODEL_HOST } from "./model-host.ts";

/**
 * A server as a program of its own whose VMs have one agent, and reach the scripted model under a name, through the
 * outbound policy, as they would reach a real one.
 */
const { PORT, AGENT_VM_DATA = "", AGENT = "", AGENT_FROM = "", MODEL_PORT, MODEL_TLS_PORT } = process.env;

const createVm = runtimeVms({
  maxResultBytes: MAX_RESULT_BYTES,
  outbound: { resolve: async (host) => (host === MODEL_HOST ? ["127.0.0.1"] : []) },
});
export const registry = setup({
  use: {
    vm: defineVm(
      {
        agents: { [AGENT]: { from: AGENT_FROM } },
        network: {
          outbound: {
            allow: [MODEL_PORT, MODEL_TLS_PORT].flatMap((port) => [
              `${MODEL_HOST}:${port}`,
              `127.0.0.1:${port}`,
            ]),
          },
          headers: { [`http://${MODEL_HOST}:${MODEL_PORT}`]: { [BORDER_HEADER]: "added" } },
        },
      },
      createVm,
    ),
  },
  port: Number(PORT),
  dataDir: AGENT_VM_DATA,
});
exitOnSignals();
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
