import type { DestinationStream } from "pino";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import type { VmActorOptions } from "../../src/actors/actor-options.ts";
import { defineVm } from "../../src/actors/define-vm.ts";
import type { VmActor } from "../../src/actors/vm-actor.ts";
import { createClient } from "../../src/client/index.ts";
import type { ClientOptions, VmClient, VmHandle } from "../../src/client/types.ts";
import { listen } from "../../src/http/listen.ts";
import { createLogger } from "../../src/http/logger.ts";
import type { ServerOptions } from "../../src/http/server-options.ts";
import { setup } from "../../src/http/setup.ts";
import type { VmOptionsInput } from "../../src/runtime/options.ts";
import { type FakeVms, fakeVms } from "./fake-vm.ts";
import { freePort } from "./free-port.ts";
import { leaveOut } from "./host.ts";
import {
  AGENT_VM_PROGRAM,
  type ServerProcess,
  type ServerProcessOptions,
  startServerProcess,
} from "./server-process.ts";
import { dataFolder } from "./temporary-folder.ts";

export type { ServerProcess };

type TestRegistry = ReturnType<typeof setup<{ vm: VmActor }>>;

interface Clients {
  /** Makes a client of this server. The server's end disposes it. */
  client(options?: ClientOptions): VmClient<TestRegistry>;
}

/** A server in this process. RivetKit cannot stop it completely: its actors stay until the process ends. */
export interface TestServer extends Clients {
  endpoint: string;
  port: number;
  registry: TestRegistry;
  /** Lines that the server has logged. */
  log: string[];
  stop(): Promise<void>;
}

export interface FakeServer extends TestServer {
  /** The server's VMs. */
  vms: FakeVms;
}

export interface ProgramServer extends ServerProcess, Clients {}

export type ProgramKind = "authorizing" | "fake" | "kernel" | "memory" | "scripted";

interface InProcess {
  process?: false;
  /** Options of the server. */
  options?: ServerOptions;
}

/**
 * Starts a server for a test, in this process or with `process: true` as a program. A server that a test starts ends with
 * the test. A file whose hook starts a server must call `stop()`.
 *
 * Its VMs boot when they are needed, unless the options or AGENT_VM_POOL say otherwise: two boots ahead for each server
 * would be most of the work of many tests.
 *
 * - `fake`: fake VMs.
 * - `kernel`, `memory`: VMs of this runtime. As a program it is the ready-made server.
 * - `scripted`: VMs with the scripted agent, only as a program.
 * - `authorizing`: `scripted` with a function that decides about clients: see server-program.ts.
 */
export function startTestServer(
  start: InProcess & { kind: "fake"; vm?: VmOptionsInput },
): Promise<FakeServer>;
export function startTestServer(
  start: InProcess & { kind: "kernel"; vm?: VmActorOptions },
): Promise<TestServer>;
export function startTestServer(
  start: Omit<ServerProcessOptions, "program"> & {
    kind: ProgramKind;
    process: true;
  },
): Promise<ProgramServer>;
export async function startTestServer(
  start:
    | (InProcess & { kind: string; vm?: VmActorOptions })
    | (ServerProcessOptions & { kind: string; process: true }),
): Promise<FakeServer | TestServer | ProgramServer> {
  const server = start.process ? await asProgram(start) : await inProcess(start);
  endWithTest(() =>
    start.kind === "kernel" && "process" in server ? server.stop("SIGTERM") : server.stop(),
  );
  return server;
}

/** Starts one server as a program for all tests of a file. @returns the server, once tests run */
export function fileServer(kind: ProgramKind): () => ProgramServer {
  let server: ProgramServer | undefined;
  beforeAll(async () => {
    server = await startTestServer({ kind, process: true });
  });
  afterAll(() => server?.stop("SIGTERM"));
  return () => server as ProgramServer;
}

type SharedServer = Pick<ProgramServer, "endpoint" | "port" | "dataDir" | "residentMib" | "client">;

let shared: Promise<ProgramServer> | undefined;

/**
 * Starts one ready-made server as a program for all files of this process that call this function. Each file uses keys of
 * its own. The kernel kills the server when this process ends.
 *
 * @returns the server, once tests run
 */
export function sharedServer(): () => SharedServer {
  let place: Omit<SharedServer, "client"> | undefined;
  let own: ReturnType<typeof clients> | undefined;
  beforeAll(async () => {
    const command = ["setpriv", "--pdeathsig", "KILL", "--", process.execPath, AGENT_VM_PROGRAM, "serve"];
    shared ??= asProgram({ kind: "kernel", command }).then((server) => {
      leaveOut(server.process.pid as number);
      return server;
    });
    place = await shared;
    own = clients(place.endpoint);
  });
  afterAll(() => own?.dispose());
  return () => ({ ...place!, client: own!.client });
}

/** A VM with the scripted agent, behind a server that runs as a program. */
export interface SessionServer {
  server: ProgramServer;
  vm: VmHandle;
  /** Makes another client and returns its handle of the VM. */
  another(endpoint?: string): VmHandle;
  /** Kills the server with SIGKILL and disposes its clients. */
  kill(): Promise<void>;
}

/** Starts a server with the scripted agent. @param dataDir data folder of an earlier server */
export async function startSessionServer(dataDir?: string): Promise<SessionServer> {
  const data = dataDir === undefined ? {} : { dataDir };
  return sessionVm(await startTestServer({ kind: "scripted", process: true, ...data }), "one");
}

/** Returns a VM of a server that the tests of a file share. */
export function sessionVm(server: ProgramServer, key: string): SessionServer {
  const another = (endpoint = server.endpoint) => server.client({ endpoint }).vm.getOrCreate(key);
  return { server, vm: another(), another, kill: async () => void (await server.stop("SIGKILL")) };
}

async function inProcess({
  kind,
  vm = {},
  options,
}: InProcess & { kind: string; vm?: VmActorOptions }): Promise<TestServer & { vms: FakeVms }> {
  const vms = fakeVms();
  const log: string[] = [];
  const stream: DestinationStream = { write: (line) => void log.push(line) };
  const registry = setup({
    use: {
      vm: kind === "fake" ? defineVm(vm, { createVm: vms.create }) : defineVm({ pool: { size: 0 }, ...vm }),
    },
    port: await freePort(),
    dataDir: dataFolder(),
    ...(kind === "fake" && { logger: createLogger("warn", stream) }),
    ...options,
  });
  const running = await listen(registry);
  const { client, dispose } = clients(running.endpoint);
  const stop = once(async () => {
    await dispose();
    await running.close();
  });
  return { endpoint: running.endpoint, port: running.port, registry, vms, log, client, stop };
}

async function asProgram({
  kind,
  env,
  ...options
}: ServerProcessOptions & { kind: string }): Promise<ProgramServer> {
  const isReadyMade = kind === "kernel" || kind === "memory";
  const server = await startServerProcess({
    ...options,
    ...(!isReadyMade && { program: TEST_PROGRAM }),
    env: { ...(isReadyMade ? { AGENT_VM_RUNTIME: kind } : { TEST_SERVER: kind }), ...env },
  });
  const { client, dispose } = clients(server.endpoint);
  const stop: ServerProcess["stop"] = async (signal) => {
    await dispose();
    return await server.stop(signal);
  };
  return { ...server, client, stop };
}

const TEST_PROGRAM = new URL("./server-program.ts", import.meta.url).pathname;

function clients(endpoint: string) {
  const made: { dispose(): Promise<void> }[] = [];
  return {
    client(options: ClientOptions = {}): VmClient<TestRegistry> {
      const client = createClient<TestRegistry>({ endpoint, ...options });
      made.push(client);
      return client;
    },
    dispose: () => Promise.all(made.splice(0).map((client) => client.dispose())),
  };
}

function once(run: () => Promise<void>): () => Promise<void> {
  let ran: Promise<void> | undefined;
  return () => {
    ran ??= run();
    return ran;
  };
}

function endWithTest(stop: () => Promise<unknown>): void {
  try {
    onTestFinished(async () => void (await stop()));
  } catch {
    // Vitest refuses this call in a hook: the hook's file stops the server.
  }
}
