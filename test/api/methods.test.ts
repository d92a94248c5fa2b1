import { describe, expect, test } from "vitest";
import { VM_ACTIONS } from "../../src/actors/action.ts";
import { parseArgs } from "../../src/api/methods/parse.ts";
import {
  METHODS,
  rowOf,
  VM_METHOD_NAMES,
  type VmMethodName,
  type VmMethods,
} from "../../src/api/methods/table.ts";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import type { SandboxFactory } from "../../src/runtime/sandbox/sandbox.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { openShared } from "../../src/runtime/vm-shared.ts";
import { startVm } from "../support/vm.ts";

const bytes = new Uint8Array([1]);

/** Arguments of each method. */
const SAMPLES: { [Name in VmMethodName]: Parameters<VmMethods[Name]> } = {
  mountFs: [{ path: "/mnt/scratch", plugin: { id: "memory" } }],
  unmountFs: ["/mnt/scratch"],
  listMounts: [],
  startService: [{ name: "s", command: "true", restart: "never" }],
  stopService: ["s"],
  listServices: [],
  serviceLogs: ["s", { after: 0 }],
  readFile: ["/etc/hostname"],
  writeFile: ["/tmp/x", "x"],
  readFiles: [["/etc/hostname"]],
  writeFiles: [[{ path: "/tmp/x", content: "x" }]],
  stat: ["/tmp"],
  lstat: ["/tmp"],
  exists: ["/tmp"],
  mkdir: ["/tmp/d", { recursive: true }],
  readdir: ["/tmp"],
  readdirRecursive: ["/tmp", { maxDepth: 1 }],
  move: ["/tmp/x", "/tmp/y"],
  delete: ["/tmp/y"],
  deleteFile: ["/tmp/y", { recursive: true }],
  exec: ["true", { timeout: 1_000 }],
  execArgv: ["true", ["a"], {}],
  spawn: ["true", ["a"], {}],
  spawnProcess: ["true"],
  listProcesses: [],
  getProcess: [2],
  writeProcessStdin: [2, "x"],
  closeProcessStdin: [2],
  waitProcess: [2],
  stopProcess: [2],
  killProcess: [2],
  signalProcess: [2, "TERM"],
  allProcesses: [],
  processTree: [],
  readProcessOutput: [2, { after: 0 }],
  openShell: [{ cols: 80 }],
  writeShell: ["shell-9", "x"],
  resizeShell: ["shell-9", 80, 24],
  closeShell: ["shell-9"],
  connectTerminal: [{ rows: 24 }],
  waitShell: ["shell-9"],
  listShells: [],
  readShell: ["shell-9", {}],
  snapshotShell: ["shell-9", "screen"],
  listRecordings: [],
  readRecording: ["rec-0", {}],
  deleteRecording: ["rec-0"],
  snapshotRootFilesystem: [],
  checkpoint: [],
  restore: [{ allowMissing: true }],
  createSnapshot: ["name"],
  listSnapshots: [],
  restoreSnapshot: ["id"],
  deleteSnapshot: ["id"],
  diff: [],
  diffSnapshots: ["id", "id"],
  readSnapshotFile: ["id", "/tmp/x", { offset: 0, length: 9 }],
  undo: [["/tmp/x"]],
  exportTar: ["/tmp"],
  exportSnapshot: [],
  importTar: [bytes, "/tmp"],
  fork: ["another"],
  watchFiles: ["/tmp", { recursive: true }],
  unwatchFiles: ["watch-1"],
  listWatches: [],
  vmFetch: [9, "/", { timeoutMs: 1_000 }],
  listPorts: [],
  waitForPort: [9, { timeoutMs: 1 }],
  createSignedPreviewUrl: [80, 60],
  createPreview: [80, { expiresInSeconds: 60 }],
  getPreviewLog: [],
  listNetworkRequests: [],
  answerNetworkRequest: ["id", "deny"],
  expireSignedPreviewUrl: ["token"],
  listPreviews: [],
  setNetworkPolicy: [{ outbound: "none" }],
  getNetworkPolicy: [],
  getNetworkLog: [],
  setSecrets: [{ KEY: null }],
  listSecrets: [],
  scheduleCron: [{ schedule: "@daily", action: { type: "exec", command: "true" } }],
  listCronJobs: [],
  cancelCronJob: ["id"],
  listCronRuns: ["id", { limit: 1 }],
  runCronJob: ["id"],
  pauseCronJob: ["id"],
  resumeCronJob: ["id"],
  createSession: ["mine", {}],
  listSessions: [],
  listPersistedSessions: [],
  getSession: ["id"],
  resumeSession: ["id"],
  listAgents: [],
  sendPrompt: ["id", "x"],
  prompt: ["id", "x"],
  cancelPrompt: ["id"],
  cancelSession: ["id"],
  closeSession: ["id"],
  destroySession: ["id"],
  respondPermission: ["id", "id", "once"],
  setMode: ["id", "id"],
  setModel: ["id", "id"],
  setThoughtLevel: ["id", "id"],
  getModes: ["id"],
  getConfigOptions: ["id"],
  getSequencedEvents: ["id", { limit: 1 }],
  getSessionEvents: ["id"],
  readTranscript: ["id", { format: "json", after: 3 }],
  status: [],
  usage: [],
  restart: [],
  sleep: [],
  setLabels: [{ team: "a" }],
  setLimits: [{ cpus: 1 }],
  getEventLog: [{ after: 7 }],
  destroy: [],
  startRun: ["true", null, { timeout: 1_000 }],
  followProcess: [2, { after: 0 }],
  beginFileRead: ["/etc/hostname"],
  readFileChunk: ["id", 0],
  beginFileWrite: ["/tmp/x", 1],
  writeFileChunk: ["id", 0, bytes],
  commitFileWrite: ["id"],
  transferOffset: ["id"],
  endFileTransfer: ["id"],
  beginTarRead: ["/tmp"],
  readTarChunk: ["id", 0],
  beginTarWrite: ["/tmp"],
  writeTarChunk: ["id", 0, bytes],
  commitTarWrite: ["id"],
  beginCall: [{ callId: "id", action: "exists", args: ["/tmp"] }],
  beginCalls: [[{ callId: "id", action: "exists", args: ["/tmp"] }]],
  acknowledge: [["id"]],
  abandonCall: ["id"],
};

/** Methods that boot the VM only for a session that exists. */
const NEED_A_SESSION: readonly VmMethodName[] = ["resumeSession", "sendPrompt", "prompt"];

type Calls = Record<string, (...args: unknown[]) => Promise<unknown>>;

const ofTheVm = VM_METHOD_NAMES.filter((name) => METHODS[name].room !== "actor");

/** A factory that counts boots and fails each. */
function countingFactory(): { factory: SandboxFactory; boots: () => number } {
  let boots = 0;
  const { factory: real } = openShared(vmOptionsSchema.parse({}));
  const factory: SandboxFactory = Object.create(real, {
    boot: {
      value: async () => {
        boots += 1;
        throw new Error("counted");
      },
    },
  });
  return { factory, boots: () => boots };
}

test.each(VM_METHOD_NAMES)("the row of %s fits its arguments, its action and its room", (name) => {
  const args: readonly unknown[] = SAMPLES[name];
  expect(parseArgs(name, args).slice(0, args.length)).toHaveLength(args.length);
  expect(VM_ACTIONS[name]).toBeTypeOf("function");
  const { input, signal, long, abortable } = rowOf(name);
  expect(input.optional).toHaveLength(input.names.length);
  // A call that can be given up takes long, and a room is told only of callers that can give up.
  expect({ name, givenUpBefore: Boolean(signal && !long) }).toEqual({ name, givenUpBefore: false });
  expect({ name, neverTold: Boolean(abortable && !signal) }).toEqual({ name, neverTold: false });
});

test.each(ofTheVm.filter((name) => !NEED_A_SESSION.includes(name)))(
  "%s boots a VM as its row says",
  async (name) => {
    const { factory, boots } = countingFactory();
    const agents = { mine: { command: "true" } };
    const { vm } = startVm({ agents }, () => factory, { store: new MemoryStore() });
    await (vm as unknown as Calls)[name]!(...SAMPLES[name]).catch(() => undefined);
    expect(boots() > 0).toBe(rowOf(name).boots ?? false);
  },
);

describe("methods that only read", () => {
  test("change no file", async () => {
    const { vm } = startVm({}, undefined, { store: new MemoryStore() });
    const { pid } = await vm.spawn("true");
    await vm.waitProcess(pid);
    await vm.writeFile("/tmp/before", "x");
    await vm.checkpoint();
    for (const name of ofTheVm.filter((candidate) => rowOf(candidate).reads)) {
      const args = SAMPLES[name].map((value) => (value === 2 ? pid : value));
      await (vm as unknown as Calls)[name]!(...args).catch(() => undefined);
    }
    expect(await vm.diff()).toEqual([]);
  });
});
