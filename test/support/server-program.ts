import { defineVm } from "../../src/actors/define-vm.ts";
import { vmActor } from "../../src/actors/vm.ts";
import { exitOnSignals } from "../../src/cli/exit-signals.ts";
import type { Authorize } from "../../src/http/authorize.ts";
import { readEnvironment } from "../../src/http/environment.ts";
import { listen } from "../../src/http/listen.ts";
import { setup } from "../../src/http/setup.ts";
import { fakeVms } from "./fake-vm.ts";
import { withScripted } from "./scripted.ts";

/**
 * Runs a server, configured by the variables of the ready-made server. With TEST_SERVER=fake its VMs are fakes, which write
 * their command lines to stderr. Otherwise they are real and have the `scripted` agent. With TEST_SERVER=authorizing the
 * server asks a function about `user:NAME`, whose VMs have keys that begin with the name. SLEEP_TIMEOUT_MS is the VMs' sleep
 * timeout, and PER_VM is the option `perVm` as JSON.
 */
const {
  PORT,
  AGENT_VM_DATA,
  AGENT_VM_POOL = "0",
  AGENT_VM_DRAIN_MS,
  AGENT_VM_TOKEN,
  PER_VM,
  SLEEP_TIMEOUT_MS,
  TEST_SERVER,
} = process.env;
const options = {
  ...withScripted,
  pool: { size: Number(AGENT_VM_POOL) },
  ...(PER_VM !== undefined && { perVm: JSON.parse(PER_VM) }),
  ...(SLEEP_TIMEOUT_MS !== undefined && { sleepTimeoutMs: Number(SLEEP_TIMEOUT_MS) }),
};
const { peers, secret, vms } = readEnvironment(process.env);
const authorize: Authorize = ({ token, vm }) => {
  const user = /^user:(\w+)$/.exec(token ?? "")?.[1];
  process.stderr.write(`asked ${user} ${JSON.stringify(vm?.key ?? null)}\n`);
  if (user === undefined) return null;
  return { identity: { user }, vms: { prefix: [user] }, may: ["create", "exec", "read"] };
};
const registry = setup({
  use: {
    vm:
      TEST_SERVER === "fake"
        ? defineVm({}, { createVm: fakeVms((command) => process.stderr.write(`${command}\n`)).create })
        : vmActor(options),
  },
  port: Number(PORT),
  ...(AGENT_VM_DATA !== undefined && { dataDir: AGENT_VM_DATA }),
  token: AGENT_VM_TOKEN,
  secret,
  peers,
  vms,
  ...(TEST_SERVER === "authorizing" && { authorize }),
});
exitOnSignals({ drainMs: AGENT_VM_DRAIN_MS === undefined ? undefined : Number(AGENT_VM_DRAIN_MS) });
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
