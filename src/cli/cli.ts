import { createClient } from "../client/index.ts";
import type { VmClient, VmHandle } from "../client/types.ts";
import type { registry } from "../server.ts";
import { parseKey } from "./key.ts";
import { Out } from "./out.ts";
import { chooseServer, hasToken, type ServerChoice, type ServerOptions } from "./server-choice.ts";

/** Options of every command. */
export interface CommonOptions extends ServerOptions {
  json?: boolean;
}

/** The place where an action prints, and the server that the options name. */
export class Cli {
  readonly out: Out;
  readonly #options: CommonOptions;
  #client: VmClient<typeof registry> | undefined;

  constructor(options: CommonOptions) {
    this.#options = options;
    this.out = new Out(options.json ?? false);
  }

  /** The server that the options, the environment or the configuration name. */
  async server(): Promise<ServerChoice> {
    return await chooseServer(this.#options);
  }

  async client(): Promise<VmClient<typeof registry>> {
    if (this.#client === undefined) {
      const { endpoint, token } = await this.server();
      // An empty token keeps the client from taking RIVET_TOKEN, which may be for another server.
      const own = token ?? (hasToken(endpoint) ? undefined : "");
      this.#client = createClient<typeof registry>({ endpoint, token: own });
    }
    return this.#client;
  }

  /** Returns a handle of a VM that exists. A typing error must not make a VM. */
  async vm(key: string | string[]): Promise<VmHandle> {
    return (await this.client()).vm.get(typeof key === "string" ? parseKey(key) : key);
  }

  async dispose(): Promise<void> {
    await this.#client?.dispose();
  }
}
