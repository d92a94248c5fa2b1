import { createClient as createRivetClient } from "rivetkit/client";
import type { VmActions, VmActorActions } from "../../src/actors/context.ts";
import { createClient, terminal, type VmConnection, type VmHandle } from "../../src/client/index.ts";
import { setup, type VmActorOptions, vmActor } from "../../src/index.ts";
import { actor, event, queue } from "../../src/rivetkit.ts";
import type { registry as serverRegistry } from "../../src/server.ts";
import type { Rc3VmActions } from "./rc3.ts";

// tsc checks this file, and nothing runs it: types.test.ts passes it to the compiler.

/** Fails to compile if the two types differ. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
declare function prove<_Truth extends true>(): void;
declare function type<T>(value: T): void;

/** Names of an interface, without its index signature. */
type Named<T> = keyof { [K in keyof T as string extends K ? never : K]: T[K] };
type Rc3Name = Named<Rc3VmActions>;

/** Method as the client sees it, without the context. */
type Projected<Action> = Action extends (c: never, ...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** `true` for each method that can replace rc.3's: it takes all its arguments and returns its results. */
type Fits<Methods> = {
  [Name in Rc3Name]: Name extends keyof Methods
    ? Methods[Name] extends Projected<Rc3VmActions[Name]>
      ? true
      : `${Name} differs`
    : `${Name} is missing`;
}[Rc3Name];

export async function everyActionOfRc3(handle: VmHandle) {
  prove<Same<Fits<VmHandle>, true>>();
  prove<Same<Fits<{ [Name in keyof VmActorActions]: Projected<VmActorActions[Name]> }>, true>>();
  // The server's interface can replace rc.3's, with its index signature.
  const actions = {} as VmActions;
  actions satisfies Rc3VmActions;
  // All arguments of rc.3.
  await handle.exec("x", {
    env: { A: "b" },
    cwd: "/",
    stdin: new Uint8Array(),
    timeout: 1,
    captureStdio: false,
  });
  await handle.execArgv("x", ["a"] as readonly string[], { stdin: "x" });
  await handle.spawn("x", ["a"], { env: {}, cwd: "/", stdin: "x" });
  await handle.openShell({ command: "sh", args: [], env: {}, cwd: "/", cols: 1, rows: 1 });
  await handle.connectTerminal({ onData: (data) => type<Uint8Array>(data) });
}

const registry = setup({ use: { vm: vmActor() } });

export async function archivesAndForks(agent: VmHandle) {
  const archive = await agent.exportTar("/", {
    onProgress: ({ transferred, total }) => type<[number, number | null]>([transferred, total]),
    signal: new AbortController().signal,
  });
  type<ReadableStream<Uint8Array>>(archive);
  type<Uint8Array>(await archive.bytes());
  await agent.importTar(archive, "/workspace");
  await agent.importTar(new Uint8Array(), "/workspace", {});
  const { files, bytes, skipped } = await agent.importTar(await agent.exportSnapshot());
  type<number[]>([files, bytes, skipped]);
  const { key, actorId } = await agent.fork("another");
  type<[string[], string]>([key, actorId]);
  await agent.connect().fork(["a", "b"], { signal: new AbortController().signal });
  // @ts-expect-error a key is text
  await agent.fork(7);
  // @ts-expect-error an archive is bytes
  await agent.importTar("text");
  vmActor({ rootFilesystem: await agent.snapshotRootFilesystem() });
  vmActor({ rootFilesystem: "/srv/root.tar.gz" });
  // @ts-expect-error neither a snapshot nor a path
  vmActor({ rootFilesystem: { kind: "other" } });
  const plain = createRivetClient<typeof registry>("http://localhost:6420").vm.getOrCreate("x");
  type<Uint8Array>(await plain.exportTar("/"));
  type<string[]>((await plain.fork("y")).key);
}

export async function throughOurClient() {
  const client = createClient<typeof registry>({ endpoint: "http://localhost:6420", token: "t" });
  const agent = client.vm.getOrCreate("my-agent");
  const result = await agent.exec("echo hello && ls /home/agentos");
  type<string>(result.stdout);
  type<number>(result.exitCode);
  type<"exit" | "signal" | "timeout" | "killed" | "oom" | "outputLimit" | "vm_stopped">(result.reason);
  type<Uint8Array>(
    await agent.readFile("/x", { onProgress: ({ transferred, total }) => type<number>(transferred / total) }),
  );
  type<number>(await agent.waitProcess(1, { startedAt: 7, signal: AbortSignal.timeout(1) }));
  for (const process of await agent.listProcesses()) type<boolean>(process.running);

  // @ts-expect-error a command is text
  await agent.exec(5);
  // @ts-expect-error a timeout is a number
  await agent.exec("x", { timeout: "1" });
  // @ts-expect-error there is no such option
  await agent.exec("x", { shell: "zsh" });
  // @ts-expect-error there is no such action
  await agent.execute("x");
  // @ts-expect-error there is no such actor
  client.machine.getOrCreate("x");
  // @ts-expect-error content is missing
  await agent.writeFile("/x");
  // @ts-expect-error a reply is text
  await agent.respondPermission("s", "p", true);
  // @ts-expect-error a result is not a number
  type<number>(result.stdout);

  const conn = agent.connect();
  conn.on("cronEvent", ({ event }) => {
    type<string>(event.jobId);
    if (event.type === "cron:complete") type<number>(event.exitCode);
    // @ts-expect-error only a run that ended has an exit code
    event.type === "cron:fire" && event.exitCode;
  });
  const { id } = await conn.scheduleCron({
    schedule: "* * * * *",
    action: { type: "exec", command: "x", env: { A: "b" } },
    catchUp: "all",
  });
  type<string>(id);
  type<string | undefined>((await agent.listCronRuns(id, { limit: 1 }))[0]?.reason);
  type<number | null | undefined>((await agent.listCronJobs())[0]?.nextRun);
  const { sessionId } = await agent.createSession("claude", { permissionPolicy: "ask" });
  const { response, text } = await agent.prompt(sessionId, "x", { signal: AbortSignal.timeout(1) });
  type<[unknown, string]>([response.result, text]);
  type<string | undefined>((await agent.getModes(sessionId))?.currentModeId);
  type<"running" | "idle" | "dormant" | "closed">((await agent.getSession(sessionId)).status);
  await agent.respondPermission(sessionId, "p", "once");
  await agent.respondPermission(sessionId, "p", "an-option-of-the-agents");
  type<[number, string] | undefined>(
    (await agent.getSequencedEvents(sessionId, { since: 1, limit: 5 })).map(
      ({ sequenceNumber, notification }): [number, string] => [sequenceNumber, notification.method],
    )[0],
  );
  type<string | undefined>((await agent.listAgents())[0]?.reason ?? undefined);
  type<string>((await agent.resumeSession(sessionId)).agentType);
  // @ts-expect-error there is no such setting
  await agent.createSession("claude", { permissionPolicy: "ask", timeout: 5 });
  // @ts-expect-error there is no such policy
  await agent.createSession("claude", { permissionPolicy: "maybe" });
  conn.on("sessionEvent", ({ event, sequenceNumber }) => {
    type<[string, number]>([event.method, sequenceNumber]);
    if (event.method === "_agentvm/agent_crashed")
      type<[number, boolean]>([event.params.exitCode, event.params.restart]);
    if (event.method !== "session/update") return;
    const { sessionId: id, update } = event.params;
    type<string>(id);
    if (update.sessionUpdate === "agent_message_chunk" && update.content.type === "text")
      type<string>(update.content.text);
    if (update.sessionUpdate === "tool_call") type<string>(update.toolCallId);
    // @ts-expect-error an update has no such field
    update.text;
  });
  for (const { notification } of await agent.getSequencedEvents(sessionId))
    if (notification.method === "session/request_permission") type<string>(notification.params.permissionId);
  conn.on("permissionRequest", ({ request }) => type<string>(request.permissionId));
  conn.on("agentCrashed", ({ stderr, restart }) => type<[string, boolean]>([stderr, restart]));
  // @ts-expect-error the alarm's action is not part of the API
  await agent.ringCron();
  conn.on("processOutput", (data) => {
    type<Uint8Array>(data.data);
    type<number>(data.pid);
    type<"stdout" | "stderr">(data.stream);
    // @ts-expect-error there is no such field
    data.output;
  });
  conn.on("processExit", ({ exitCode, signal }) => type<[number, string | undefined]>([exitCode, signal]));
  conn.on("shellData", ({ shellId, data, seq }) => type<[string, Uint8Array, number]>([shellId, data, seq]));
  conn.on("fileChanged", ({ type: kind }) =>
    type<"created" | "modified" | "deleted" | "renamed" | "overflow" | "ended">(kind),
  );
  conn.on("shellExit", ({ exitCode }) => type<number>(exitCode));
  conn.on("vmShutdown", ({ reason }) => type<"sleep" | "destroy" | "error">(reason));
  // @ts-expect-error the client itself handles this event
  conn.on("callSettled", () => undefined);
  // @ts-expect-error there is no such event
  conn.on("processStart", () => undefined);
  type<string>((await conn.exec("x")).stdout);
  await conn.dispose();
}

export async function throughRivetKitsClient() {
  const client = createRivetClient<typeof registry>("http://localhost:6420");
  const agent = client.vm.getOrCreate("my-agent");
  type<string>((await agent.exec("x", { timeout: 5 })).stdout);
  type<Uint8Array>(await agent.readFile("/x"));
  // @ts-expect-error a command is text
  await agent.exec(5);
  // @ts-expect-error there is no such action
  await agent.execute("x");
  const conn = agent.connect();
  conn.on("processOutput", (data) => type<[number, Uint8Array]>([data.pid, data.data]));
  conn.on("callSettled", ({ outcome }) => type<boolean>(outcome.ok));
  // @ts-expect-error there is no such event
  conn.on("processStart", () => undefined);
}

/** A function of its own takes any VM of a registry. */
async function build(vm: VmHandle<typeof registry>, connection: VmConnection<typeof registry>) {
  type<number>((await vm.exec("make")).exitCode);
  connection.once("vmShutdown", ({ reason }) => type<string>(reason));
  await terminal(vm, { shellId: "shell-1", cols: 80 });
  // @ts-expect-error a shell that runs has its program already
  await terminal(vm, { shellId: "shell-1", command: "zsh" });
}

export async function namedTypes() {
  const { vm } = createClient<typeof registry>();
  await build(vm.getOrCreate("a"), vm.getOrCreate("a").connect());
  const any: VmHandle = vm.getOrCreate("a");
  type<VmHandle<typeof registry>>(any);
}

export async function runs(agent: VmHandle) {
  const done = await agent.run("x", {
    onStdout: (text) => type<string>(text),
    signal: AbortSignal.timeout(1),
  });
  type<[number, string, false]>([done.exitCode, done.output, done.running]);
  const step = await agent.run("x", { yieldAfterMs: 10, timeout: 5, env: { A: "b" } });
  if (step.running) type<[number, number, number]>([step.pid, step.startedAt, step.after]);
  else type<[number, number]>([step.exitCode, step.startedAt]);
  // @ts-expect-error the command may still run
  type<number>(step.exitCode);
  type<string>((await agent.runArgv("ls", ["-l"], { cwd: "/tmp" })).stdout);
  type<boolean>((await agent.attach(step.pid, { after: 3, startedAt: 7, yieldAfterMs: 10 })).running);
  // @ts-expect-error only attach continues
  await agent.run("x", { after: 3 });
  await agent.stopProcess(1, { tree: true });
}

const counter = actor({
  state: { count: 0 },
  actions: { add: (c, by: number) => (c.state.count += by) },
});

const extended = setup({
  use: {
    vm: vmActor({
      state: { builds: 0 },
      createVars: (c) => ({ last: c.key.length }),
      createConnState: (_c, params) => ({ name: String(params?.token) }),
      events: { built: event<{ target: string }>() },
      queues: { work: queue<{ target: string }>() },
      actions: {
        async build(c, target: string, jobs?: number) {
          type<[number, number, string]>([c.state.builds, c.vars.last, c.conn.state.name]);
          c.broadcast("built", { target });
          // @ts-expect-error there is no such event of the server's own
          c.broadcast("broken", { target });
          // @ts-expect-error the storage belongs to the VM
          c.kv;
          c.state.builds += jobs ?? 1;
          return (await c.vm.exec(`make ${target}`)).exitCode;
        },
        builds: (c) => c.state.builds,
      },
      rights: { builds: "read" },
      resolveOptions: async (c) => ({ env: { BUILDS: String(c.state.builds) } }),
      onVmStart: async (c, vm) => type<[number, string]>([c.state.builds, (await vm.exec("x")).stdout]),
      onVmStop: (c, _vm, reason) => type<[number, "sleep" | "destroy" | "error"]>([c.vars.last, reason]),
      onSessionEvent: (_c, sessionId, { method }) => type<[string, string]>([sessionId, method]),
      onProcessExit: (_c, { pid, exitCode }) => type<[number, number]>([pid, exitCode]),
      onAgentExit: (_c, { restart }) => type<boolean>(restart),
      onLimitWarning: (_c, { capacity }) => type<number>(capacity),
      onFileChanged: (_c, { path }) => type<string>(path),
      async run(c) {
        for await (const message of c.queue.iter()) type<string>(message.body.target);
      },
    }),
    counter,
  },
});

export async function aServersOwnParts() {
  const client = createClient<typeof extended>({ vms: ["vm"] });
  const vm = client.vm.getOrCreate("x");
  type<number>(await vm.build("all", 2));
  type<number>(await vm.builds());
  type<string>((await vm.exec("x")).stdout);
  await vm.send("work", { target: "all" });
  // @ts-expect-error there is no such queue
  await vm.send("play", { target: "all" });
  // @ts-expect-error a target is text
  await vm.build(5);
  // @ts-expect-error there is no such action
  await vm.unbuild();
  const conn = vm.connect();
  conn.on("built", ({ target }) => type<string>(target));
  conn.once("built", ({ target }) => type<string>(target));
  conn.on("processExit", ({ pid }) => type<number>(pid));
  // @ts-expect-error there is no such event
  conn.on("broken", () => undefined);
  type<number>(await conn.build("all"));
  type<number>(await client.counter.getOrCreate("x").add(1));
  const named: VmHandle<typeof extended, "vm"> = vm;
  type<number>(await named.builds());
  type<VmHandle>(vm);
  type<VmConnection>(conn);
  const plain = createRivetClient<typeof extended>("http://localhost:6420").vm.getOrCreate("x");
  type<number>(await plain.build("all"));
  plain.connect().on("built", ({ target }) => type<string>(target));
  // @ts-expect-error a queue takes its messages only
  await plain.send("work", { target: 5 });
  // @ts-expect-error the state is a number
  vmActor({ state: { count: 0 }, actions: { add: (c) => c.state.count.length } });
}

export async function throughTheReadyMadeServer() {
  const client = createClient<typeof serverRegistry>("http://localhost:6420");
  type<string>((await client.vm.getOrCreate("my-agent").exec("x")).stdout);
}

export function options() {
  vmActor({ env: { CI: "1" }, limits: { processes: 64 }, software: ["/opt/tools"] });
  const chosen: VmActorOptions = { env: { CI: "1" }, state: { builds: 0 }, onWake: () => undefined };
  setup({ use: { vm: vmActor(chosen) } });
  vmActor({
    agents: {
      mine: { command: "node", args: ["agent.js"], env: { A: "b" }, mounts: [{ from: "/a", to: "/b" }] },
    },
    onPermissionRequest: async (c, sessionId, request) => {
      type<[readonly string[], string, string]>([c.key, sessionId, request.permissionId]);
      return request.description === "ls" ? "once" : undefined;
    },
  });
  // @ts-expect-error a handler answers with a text or nothing
  vmActor({ onPermissionRequest: () => 5 });
  // @ts-expect-error there is no such option
  vmActor({ onSessionEvents: () => undefined });
  // @ts-expect-error a limit is a number
  vmActor({ limits: { processes: "64" } });
  // @ts-expect-error the host is a string
  setup({ use: { vm: vmActor() }, host: 5 });
  // @ts-expect-error this setup brings its own driver
  setup({ use: { vm: vmActor() }, driver: undefined as never });
}
