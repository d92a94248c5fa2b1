// @module-tag slow
// @module-tag attack
import { expect, onTestFailed, onTestFinished } from "vitest";
import { isErrorCode, isPosixCode } from "../../src/api/error-codes.ts";
import type { AgentVmError } from "../../src/api/errors.ts";
import { rowOf, VM_METHOD_NAMES, type VmMethodName } from "../../src/api/methods/table.ts";
import type { VmHandle } from "../../src/client/types.ts";
import { BadArguments } from "../support/generated/bad-arguments.ts";
import { type Code, postAction, RawConnection } from "../support/generated/raw-calls.ts";
import { Raw } from "../support/generated/wire.ts";
import { seededRandom } from "../support/random.ts";
import { testRows } from "../support/rows.ts";
import { type ProgramServer, startTestServer } from "../support/servers.ts";

type Send = (action: string, args: unknown[]) => Promise<Code>;
type Calls = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** Ways on which a call reaches an action. The client refuses some values itself. */
function waysTo(server: ProgramServer, actorId: string, vm: VmHandle): Record<string, Send> {
  const url = `${server.endpoint}/gateway/${actorId}`;
  const connections = { json: new RawConnection(url, "json"), cbor: new RawConnection(url, "cbor") };
  onTestFinished(() => {
    for (const connection of Object.values(connections)) connection.close();
  });
  const client = vm.connect() as unknown as { invoke(action: string, args: unknown[]): Promise<unknown> };
  return {
    "HTTP, JSON": (action, args) => postAction(url, "json", action, args),
    "HTTP, CBOR": (action, args) => postAction(url, "cbor", action, args),
    "connection, JSON": (action, args) => connections.json.call(action, args),
    "connection, CBOR": (action, args) => connections.cbor.call(action, args),
    "call protocol": (action, args) =>
      client.invoke(action, args).then(
        () => undefined,
        (error: AgentVmError) => error.code,
      ),
  };
}

const hasRaw = (value: unknown): boolean =>
  value instanceof Raw || (typeof value === "object" && value !== null && Object.values(value).some(hasRaw));

/** Everything that methods without arguments tell about a VM, without what changes by itself. */
async function stateOf(vm: VmHandle): Promise<unknown> {
  const readers = VM_METHOD_NAMES.filter((name) => {
    const { reads, input, room } = rowOf(name);
    return reads && input.optional.every(Boolean) && room !== "tars" && name !== "usage";
  });
  const state: Record<string, unknown> = {};
  for (const name of readers) state[name] = await (vm as unknown as Calls)[name]?.();
  const { generation, labels, own, sessions, shells } = state.status as Awaited<
    ReturnType<VmHandle["status"]>
  >;
  state.status = { generation, labels, own, sessions, shells };
  // Decoded objects differ in their prototypes. A process that sleeps may still have its first milliseconds counted.
  return JSON.parse(JSON.stringify(state, (key, value) => (key === "cpuMs" ? undefined : value)));
}

/** A code of docs/errors.md, except for `internal_error`. */
const isCoded = (code: Code) =>
  code !== undefined && code !== "internal_error" && (isErrorCode(code) || isPosixCode(code));

/** Methods that wait long for things that do not exist, and methods that carry others. */
const isLeftOut = (name: VmMethodName) =>
  rowOf(name).abortable === true || name === "beginCall" || name === "beginCalls";

// One seed alone: `AGENT_VM_SEED=7 npm test -- test/end-to-end/generated-input.test.ts`. AGENT_VM_SEEDS is the number of seeds.
const { AGENT_VM_SEEDS = "3", AGENT_VM_SEED } = process.env;
const SEEDS =
  AGENT_VM_SEED === undefined
    ? Array.from({ length: Number(AGENT_VM_SEEDS) }, (_, index) => index + 1)
    : [Number(AGENT_VM_SEED)];

testRows(
  SEEDS.map((seed) => [seed] as const),
  1,
)(
  "seed %i: every action answers bad input with a coded error, and a refused call changes nothing",
  async (seed) => {
    const server = await startTestServer({ kind: "kernel", process: true });
    onTestFailed(() => void process.stderr.write(server.stderr().slice(0, 20_000)));
    const vm = server.client().vm.getOrCreate("one");
    await vm.writeFile("/workspace/file", "x");
    await vm.spawn("sleep", ["1000"]);
    await vm.scheduleCron({ id: "job", schedule: "@yearly", action: { type: "exec", command: "true" } });
    await vm.checkpoint();
    const ways = Object.entries(waysTo(server, await vm.resolve(), vm));
    const generator = new BadArguments(seededRandom(seed));
    const before = await stateOf(vm);
    const wrong: string[] = [];
    const send = async (name: VmMethodName, args: unknown[], [way, call]: (typeof ways)[number]) => {
      if (way === "call protocol" && hasRaw(args)) return { code: "invalid_argument", call: "" };
      return { code: await call(name, args), call: `${name} over ${way} with ${show(args)}` };
    };
    for (const name of VM_METHOD_NAMES) {
      for (const way of ways) {
        const { code, call } = await send(name, generator.refused(rowOf(name)), way);
        if (!isCoded(code)) wrong.push(`${call}: ${code}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(await stateOf(vm)).toEqual(before);

    // Arguments of the right types, most of which name nothing. Some calls succeed.
    for (const [index, name] of VM_METHOD_NAMES.filter((each) => !isLeftOut(each)).entries()) {
      const args = generator.accepted(rowOf(name));
      if (args === undefined) continue;
      const { code, call } = await send(name, args, ways[index % ways.length] as (typeof ways)[number]);
      if (code !== undefined && !isCoded(code)) wrong.push(`${call}: ${code}`);
    }
    expect(wrong).toEqual([]);
    const other = server.client().vm.getOrCreate("other");
    expect((await other.exec("echo on")).stdout).toBe("on\n");
  },
);

function show(args: unknown): string {
  const text = JSON.stringify(args, (_, value) => (value instanceof Raw ? value.name : value));
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
