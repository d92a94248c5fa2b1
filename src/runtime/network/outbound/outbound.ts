import type { z } from "zod";
import { AgentVmError } from "../../../api/errors.ts";
import { type networkSchema, outboundSchema } from "../../../api/network-policy.ts";
import type { Env, NetworkPolicyInfo, OutboundPolicy } from "../../../api/types.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Store } from "../../store.ts";
import type { PortWatchParts } from "../port-watch.ts";
import { proxyEnv } from "./environment.ts";
import { OutboundGate, type Resolve } from "./gate.ts";
import { addedHeaders } from "./headers.ts";
import { NetworkLog } from "./log.ts";
import { OutboundProxy } from "./proxy.ts";

/** Key of a policy that was set at run time. */
const POLICY_KEY = "net/policy";

/** The `network` option of an actor. */
export type OutboundOptions = z.output<typeof networkSchema>;

export interface OutboundSeams {
  resolve?: Resolve;
  /** Certificates in PEM, instead of the system's. */
  ca?: string;
}

export interface OutboundParts {
  options: OutboundOptions;
  store: Store;
  emit: PortWatchParts["emit"];
  seams?: OutboundSeams | undefined;
}

/** What one VM reaches outside: its policy, and the proxy that holds it, which comes with the first policy but none. */
export class Outbound {
  readonly log: NetworkLog;
  readonly #parts: OutboundParts;
  readonly #gate: OutboundGate;
  #loaded: Promise<void> | undefined;
  #proxy: Promise<OutboundProxy> | undefined;
  #port: number | undefined;
  #sandbox: Sandbox | undefined;

  constructor(parts: OutboundParts) {
    this.#parts = parts;
    this.log = new NetworkLog((payload) => parts.emit("networkDenied", payload));
    this.#gate = new OutboundGate(parts.options.outbound, this.log, parts.seams?.resolve);
  }

  /** Variables that lead commands to the proxy; none where the policy is none. */
  get env(): Env {
    return this.#port === undefined || this.#gate.policy === "none" ? {} : proxyEnv(this.#port);
  }

  /** Holds for the VM that is up: before it runs anything, and after each change. */
  async booted(sandbox: Sandbox): Promise<void> {
    await this.#load();
    if (this.#sandbox !== sandbox) this.close();
    this.#sandbox = sandbox;
    if (this.#gate.policy !== "none") await this.#open(sandbox);
  }

  async change(policy: OutboundPolicy): Promise<void> {
    await this.#load();
    await this.#parts.store.put([[POLICY_KEY, Buffer.from(JSON.stringify(policy))]]);
    this.#gate.change(policy);
  }

  async info(): Promise<NetworkPolicyInfo> {
    await this.#load();
    const headers = Object.entries(this.#parts.options.headers);
    return {
      outbound: this.#gate.policy,
      headers: Object.fromEntries(headers.map(([origin, added]) => [origin, Object.keys(added)])),
    };
  }

  close(): void {
    const proxy = this.#proxy;
    this.#proxy = undefined;
    this.#port = undefined;
    proxy?.then(
      (open) => open.close(),
      () => undefined,
    );
    this.#gate.close();
  }

  async #open(sandbox: Sandbox): Promise<void> {
    if (this.#proxy === undefined) {
      const proxy = this.#start(sandbox);
      this.#proxy = proxy;
      proxy.catch(() => {
        if (this.#proxy === proxy) this.#proxy = undefined;
      });
    }
    try {
      this.#port = (await this.#proxy).port;
    } catch (error) {
      // Files alone have no programs that could want to go out.
      if (!(error instanceof AgentVmError && error.code === "no_kernel_sandbox")) throw error;
    }
  }

  async #start(sandbox: Sandbox): Promise<OutboundProxy> {
    const { options, seams } = this.#parts;
    const added = addedHeaders(options.headers);
    return new OutboundProxy(await sandbox.network.listen(), {
      gate: this.#gate,
      holderOf: (connection) => sandbox.network.holderOf(connection),
      added,
      ca: seams?.ca,
    });
  }

  /** What was set at run time comes before the actor's option. */
  #load(): Promise<void> {
    this.#loaded ??= this.#read().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  async #read(): Promise<void> {
    const [kept] = await this.#parts.store.get([POLICY_KEY]);
    if (kept === undefined) return;
    // One that this version does not understand opens nothing.
    const policy = outboundSchema.safeParse(parseJson(kept));
    this.#gate.change(policy.success ? policy.data : "none");
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
