import type { DestinationStream } from "pino";
import { listen } from "../../src/actors/listen.ts";
import { createLogger } from "../../src/actors/logger.ts";
import { type ServerOptions, setup } from "../../src/actors/setup.ts";
import { defineVm, type VmActor } from "../../src/actors/vm.ts";
import { createClient } from "../../src/client/index.ts";
import type { ClientOptions, VmClient } from "../../src/client/types.ts";
import type { VmOptionsInput } from "../../src/runtime/options.ts";
import { type FakeVms, fakeVms } from "./fake-vm.ts";
import { freePort } from "./free-port.ts";
import { dataFolder } from "./temporary-folder.ts";

type TestRegistry = ReturnType<typeof setup<{ vm: VmActor }>>;

export interface TestServer {
  endpoint: string;
  port: number;
  registry: TestRegistry;
  /** The VMs behind it. */
  vms: FakeVms;
  /** What it has logged, a line each. */
  log: string[];
  /** A client of this server; disposed with it. */
  client(options?: ClientOptions): VmClient<TestRegistry>;
  stop(): Promise<void>;
}

/** A server in this process whose VMs are fakes. RivetKit cannot stop one: its actors stay until the process ends. */
export async function startServer(
  options: ServerOptions & { vm?: VmOptionsInput } = {},
): Promise<TestServer> {
  const { vm, ...server } = options;
  const vms = fakeVms();
  const log: string[] = [];
  const stream: DestinationStream = { write: (line) => void log.push(line) };
  const registry = setup({
    use: { vm: defineVm(vm ?? {}, vms.create) },
    port: await freePort(),
    dataDir: dataFolder(),
    logger: createLogger("warn", stream),
    ...server,
  });
  const running = await listen(registry);
  const clients: { dispose(): Promise<void> }[] = [];
  return {
    endpoint: running.endpoint,
    port: running.port,
    registry,
    vms,
    log,
    client(clientOptions = {}) {
      const client = createClient<TestRegistry>({ endpoint: running.endpoint, ...clientOptions });
      clients.push(client);
      return client;
    },
    async stop() {
      await Promise.all(clients.map((client) => client.dispose()));
      await running.close();
    },
  };
}
