// @module-tag attack
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVENT_RIGHTS, type VmEventName } from "../../../src/api/events.ts";
import { VM_METHOD_NAMES, type VmMethodName } from "../../../src/api/methods/table.ts";
import { RIGHT_NAMES, type Right } from "../../../src/api/rights.ts";
import type { VmHandle } from "../../../src/client/index.ts";
import { createLogger } from "../../../src/http/logger.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

/** The methods of each right, apart from `ANY`. Written out, so that a row of the method table cannot change it unseen. */
const METHODS: Record<Exclude<Right, "admin">, string> = {
  exec: `exec execArgv spawn spawnProcess listProcesses getProcess writeProcessStdin closeProcessStdin waitProcess
    stopProcess killProcess signalProcess allProcesses processTree readProcessOutput startRun followProcess
    startService stopService listServices serviceLogs`,
  terminal:
    "openShell writeShell resizeShell closeShell connectTerminal waitShell listShells readShell snapshotShell listRecordings readRecording deleteRecording",
  files: `readFile writeFile readFiles writeFiles stat lstat exists mkdir readdir readdirRecursive move delete deleteFile
    watchFiles unwatchFiles listWatches listMounts exportTar exportSnapshot importTar snapshotRootFilesystem readSnapshotFile
    beginFileRead readFileChunk beginFileWrite writeFileChunk commitFileWrite transferOffset
    beginTarRead readTarChunk beginTarWrite writeTarChunk commitTarWrite`,
  sessions: `createSession listSessions listPersistedSessions getSession resumeSession listAgents sendPrompt prompt
    cancelPrompt cancelSession closeSession destroySession respondPermission setMode setModel setThoughtLevel getModes
    getConfigOptions getSequencedEvents getSessionEvents readTranscript`,
  network: `vmFetch listPorts waitForPort createSignedPreviewUrl expireSignedPreviewUrl listPreviews createPreview getPreviewLog
    getNetworkPolicy getNetworkLog listSecrets listNetworkRequests`,
  cron: "scheduleCron listCronJobs cancelCronJob listCronRuns runCronJob pauseCronJob resumeCronJob",
  snapshots:
    "checkpoint restore createSnapshot listSnapshots restoreSnapshot deleteSnapshot diff diffSnapshots undo",
  create: "fork",
  read: `listServices serviceLogs listProcesses getProcess waitProcess allProcesses processTree readProcessOutput
    readFile readFiles stat lstat exists readdir readdirRecursive listWatches listMounts exportTar exportSnapshot
    snapshotRootFilesystem beginFileRead readFileChunk beginTarRead readTarChunk
    listSessions listPersistedSessions getSession listAgents getModes getConfigOptions getSequencedEvents getSessionEvents readTranscript
    listPorts waitForPort listPreviews getPreviewLog getNetworkPolicy getNetworkLog listSecrets listNetworkRequests listCronJobs listCronRuns
    listSnapshots diffSnapshots readSnapshotFile`,
};
const ANY = "status usage getEventLog endFileTransfer beginCall beginCalls acknowledge abandonCall";
const ONLY_ADMIN =
  "setNetworkPolicy answerNetworkRequest setSecrets mountFs unmountFs restart sleep setLabels setLimits destroy";

const EVENTS: Record<Exclude<Right, "admin">, string> = {
  exec: "processOutput processExit waitingForInput serviceChanged",
  terminal: "shellData shellExit",
  files: "fileChanged",
  sessions: "sessionEvent permissionRequest agentCrashed",
  network: "portOpened portClosed networkDenied previewRequest",
  cron: "cronEvent",
  snapshots: "",
  create: "",
  read: "serviceChanged waitingForInput processOutput processExit fileChanged sessionEvent agentCrashed portOpened portClosed networkDenied previewRequest cronEvent",
};
const ONLY_ADMIN_EVENT = "networkRequest";
const ANY_EVENT = "vmBooted filesReadOnly limitWarning vmShutdown callSettled";

const words = (text: string) => text.split(/\s+/).filter(Boolean);

const TOKEN = "administrator's token";
let server: TestServer;
beforeAll(async () => {
  const options = { token: TOKEN, logger: createLogger("silent") };
  server = await startTestServer({ kind: "kernel", vm: { runtime: "memory" }, options });
});
afterAll(() => server.stop());

/** Makes a VM, and returns its handle for a client whose token has this one right. */
async function vmFor(right: Right): Promise<VmHandle> {
  await server.client({ token: TOKEN }).vm.getOrCreate(right).exists("/");
  const { token } = await server.client({ token: TOKEN }).tokens.create({ vms: right, may: [right] });
  return server.client({ token }).vm.get(right);
}

/** Calls a method with an argument too many, which a client with the right is told. No method does anything. */
const refusalOf = async (target: Pick<VmHandle, "action">, name: string) =>
  await failure(target.action({ name, args: Array(9).fill(0) }));

test("each of several calls that begin with one message needs its own right", async () => {
  const connection = (await vmFor("files")).connect();
  await connection.status();
  const calls = [connection.exists("/"), connection.exec("true"), connection.exists("/tmp")];
  expect(await Promise.allSettled(calls)).toMatchObject([
    { value: true },
    { reason: { code: "forbidden", metadata: { right: "exec", method: "exec" } } },
    { status: "fulfilled" },
  ]);
  await connection.dispose();
});

test("the refusal of a command has the name of the client's method", async () => {
  const error = await failure((await vmFor("files")).run("true"));
  expect(error).toMatchObject({ code: "forbidden", message: expect.stringMatching(/the method run needs$/) });
});

test("the tables name every method and every event", () => {
  const methods = [...Object.values(METHODS), ANY, ONLY_ADMIN].flatMap(words);
  expect(new Set(methods)).toEqual(new Set(VM_METHOD_NAMES));
  expect(new Set([...Object.values(EVENTS), ANY_EVENT, ONLY_ADMIN_EVENT].flatMap(words))).toEqual(
    new Set(Object.keys(EVENT_RIGHTS)),
  );
});

test("a token that may only read sends no request into the VM by waitForPort", async () => {
  const vm = await vmFor("read");
  const refused = { code: "forbidden", metadata: { right: "network", method: "waitForPort" } };
  const error = await failure(vm.waitForPort(3000, { path: "/delete", timeoutMs: 1 }));
  expect(error).toMatchObject(refused);
  expect(await failure(vm.waitForPort(3000, { timeoutMs: 1 }))).not.toMatchObject({ code: "forbidden" });
  const user = await vmFor("network");
  const sent = await failure(user.waitForPort(3000, { path: "/", timeoutMs: 1 }));
  expect(sent).not.toMatchObject({ code: "forbidden" });
});

/** Rights whose calls the quick suite makes. */
const QUICK: readonly Right[] = ["exec", "read", "admin"];
const rows = (isQuick: boolean) => RIGHT_NAMES.filter((right) => QUICK.includes(right) === isQuick);

describe.each(rows(true))("a token that may only %s", checkRight);
describe.each(rows(false))("a token that may only %s", { tags: ["slow"] }, checkRight);

function checkRight(right: Right): void {
  const isAllowed = (name: VmMethodName) =>
    right === "admin" || words(`${METHODS[right]} ${ANY}`).includes(name);

  test("reaches its methods and no other, over HTTP and over a connection", async () => {
    const vm = await vmFor(right);
    const connection = vm.connect();
    await connection.status();
    for (const name of VM_METHOD_NAMES) {
      const errors = await Promise.all([refusalOf(vm, name), refusalOf(connection, name)]);
      const allowed = { code: name.startsWith("beginCall") ? expect.any(String) : "invalid_argument" };
      const refused = { code: "forbidden", metadata: { right: expect.any(String), method: name } };
      for (const error of errors) expect(error, name).toMatchObject(isAllowed(name) ? allowed : refused);
    }
    await connection.dispose();
  });

  test("subscribes to its events and to no other", async () => {
    const connection = (await vmFor(right)).connect();
    await connection.status();
    const refused: unknown[] = [];
    connection.onError((error) => refused.push(error));
    const names = Object.keys(EVENT_RIGHTS).filter((name) => name !== "callSettled") as VmEventName[];
    for (const name of names) connection.on(name as "shellData", () => undefined);
    // The server answers in order.
    await connection.status();
    const forbidden =
      right === "admin" ? [] : names.filter((name) => !words(`${EVENTS[right]} ${ANY_EVENT}`).includes(name));
    expect(refused).toMatchObject(forbidden.map((event) => ({ code: "forbidden", metadata: { event } })));
    expect(connection.isConnected).toBe(true);
    await connection.dispose();
  });
}
