import { vmActor } from "../../src/actors/vm.ts";
import { listen } from "../../src/http/listen.ts";
import { setup } from "../../src/http/setup.ts";
import { actor } from "../../src/rivet/rivetkit.ts";

/** Runs a server with actors that do not start, and VMs that sleep after a second. After SIGUSR2 its own code leaves a promise rejected. */

const fail = (): never => {
  throw new Error("does not start");
};
const vm = vmActor({
  runtime: "memory",
  sleepTimeoutMs: 1_000,
  createState: ({ key }) => (key[0] === "createState" ? fail() : {}),
  createVars: ({ key }) => (key[0] === "createVars" ? fail() : {}),
});
const plain = actor({ createState: (): { greeted: number } => fail(), actions: { hello: () => "hello" } });
const registry = setup({
  use: { vm, plain },
  port: Number(process.env.PORT),
  dataDir: process.env.AGENT_VM_DATA,
});
process.on("SIGUSR2", () => void Promise.reject(new Error("the program's own")));
const { endpoint } = await listen(registry);
process.stdout.write(`Endpoint ${endpoint}\nAccess\n\n`);
