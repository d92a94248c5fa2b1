import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import type { z } from "zod";
import { NETWORK_ASK_TIMEOUT_MS } from "../../../api/limits.ts";
import type { NetworkPolicyInfo, OutboundPolicy } from "../../../api/methods/network.ts";
import { type networkSchema, outboundSchema } from "../../../api/network-policy.ts";
import type { Env } from "../../../api/values.ts";
import { parseJson } from "../../../base/json.ts";
import { loadOnce } from "../../../base/load-once.ts";
import type { Sealer } from "../../../base/sealer.ts";
import { within } from "../../../base/within.ts";
import type { VmHandlers } from "../../hooks.ts";
import type { SandboxNetwork } from "../../sandbox/network.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { NETWORK_POLICY_KEY } from "../../store/keys.ts";
import type { VmServices } from "../../vm-services.ts";
import { VmTrust } from "./authority/trust.ts";
import { VmSecrets } from "./credentials/vm-secrets.ts";
import { DenyingResolver } from "./denying-resolver.ts";
import { OutboundGate } from "./gate.ts";
import { NetworkLog } from "./log.ts";
import { RESOLVER_ADDRESS } from "./names.ts";
import type { Offers } from "./offers.ts";
import { OutboundProxy } from "./proxy.ts";
import { NO_RETRIES, NODE_PROXY, proxyEnv } from "./proxy-env.ts";
import { NetworkQuestions } from "./questions.ts";
import type { Resolve } from "./resolve.ts";
import { TransparentEgress } from "./transparent.ts";

/** The `network` option of an actor. */
export type OutboundOptions = z.output<typeof networkSchema>;

export interface OutboundSeams {
  resolve?: Resolve;
  /** CA certificates in PEM that replace the system's. */
  ca?: string;
}

/** Port of the proxy in the VM, above the range from which the kernel gives ports to outgoing connections. */
const PROXY_PORT = 61_080;

/** Time that the first programs of a boot wait for the proxy of the policy `none`. Only a host without processes to spare takes so long. */
const START_TIMEOUT_MS = 5_000;

const RESOLV_CONF = "/etc/resolv.conf";
const MAX_RESOLV_CONF_BYTES = 4096;

export interface OutboundDeps
  extends Pick<VmServices, "store" | "emit" | "hasListeners" | "report" | "onFailure">,
    Pick<VmHandlers, "onNetworkRequest"> {
  /** Returns the bytes that the VM has sent and received outside before this instance. @default 0 */
  bytesBefore?: () => Promise<number>;
  /** Encrypts stored secrets. @default secrets are not stored */
  sealer?: Sealer | undefined;
  /** Services that clients offer inside. @default none */
  offers?: Offers | undefined;
}

/**
 * Outbound access of one VM: its policy and the proxy that enforces it. With the policy `none` the proxy denies everything,
 * so that programs fail at once, with a reason, and the log shows it.
 */
export class Outbound {
  readonly log: NetworkLog;
  readonly secrets: VmSecrets;
  readonly questions: NetworkQuestions;
  readonly #trust = new VmTrust();
  readonly #deps: OutboundDeps;
  readonly #options: OutboundOptions;
  readonly #seams: OutboundSeams;
  readonly #gate: OutboundGate;
  /** Loads the stored policy, which was set at run time and replaces the actor's option. */
  readonly #load = loadOnce(() => this.#read());
  #proxy: Promise<OutboundProxy> | undefined;
  #transparent: Promise<TransparentEgress | undefined> | undefined;
  /** Whether programs reach every port without the proxy. */
  #leadsAllPorts = false;
  #denying: DenyingResolver | undefined;
  /** The wait of a boot's first programs for what says no. */
  #firstStart: Promise<void> | undefined;
  #applied: Promise<void> = Promise.resolve();
  #port: number | undefined;
  #sandbox: Sandbox | undefined;
  #upstream: SecureContext | undefined;

  constructor(deps: OutboundDeps, options: OutboundOptions, seams: OutboundSeams = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#seams = seams;
    this.log = new NetworkLog(
      (payload) => deps.emit("networkDenied", payload),
      () => deps.report({ kind: "denied" }),
    );
    this.secrets = new VmSecrets(deps, options);
    const { emit, hasListeners, onFailure, onNetworkRequest, offers } = deps;
    const { askTimeoutMs: timeoutMs = NETWORK_ASK_TIMEOUT_MS, limits } = options;
    this.questions = new NetworkQuestions({ emit, hasListeners, onFailure, onNetworkRequest, timeoutMs });
    this.#gate = new OutboundGate(options.outbound, this.log, {
      resolve: seams.resolve,
      report: deps.report,
      questions: this.questions,
      limits,
      offers,
    });
  }

  /**
   * Returns variables that point commands to the proxy and to the VM's authority, and the placeholders of secrets. The proxy
   * serves programs by then, unless it starts too slowly.
   */
  async env(): Promise<Env> {
    const network = this.#sandbox?.network;
    if (network === undefined) return {};
    if (this.#gate.policy === "none") {
      const started = this.#denyAll(network);
      this.#firstStart ??= within(started, START_TIMEOUT_MS);
      await this.#firstStart;
    }
    const deniesAll = this.#gate.policy === "none";
    return {
      ...proxyEnv(this.#port ?? PROXY_PORT),
      ...this.#trust.env,
      ...this.secrets.rules.env,
      ...(deniesAll && NO_RETRIES),
      ...(!deniesAll && !this.#leadsAllPorts && NODE_PROXY),
    };
  }

  /** Starts what says no, with the first program. Never rejects: a failure is tried again with the next program. */
  async #denyAll(network: SandboxNetwork): Promise<void> {
    const opened = this.#open(network).catch(() => undefined);
    // With interception the VM has a resolver.
    if (this.#transparent === undefined) this.#denying ??= this.#deny(network);
    await Promise.all([opened, this.#denying?.ready]);
  }

  #deny(network: SandboxNetwork): DenyingResolver {
    const denying: DenyingResolver = new DenyingResolver(network, this.#gate, () => {
      if (this.#denying === denying) this.#denying = undefined;
    });
    return denying;
  }

  /** Applies the policy to a running sandbox. Called before its first program and after each change of the policy. */
  async apply(sandbox: Sandbox): Promise<void> {
    await Promise.all([this.#load(), this.secrets.load()]);
    if (this.#sandbox !== sandbox) this.close();
    this.#sandbox = sandbox;
    if (sandbox.network !== undefined && this.secrets.rules.opensTls)
      await this.#trust.establish(sandbox.files);
    // A VM without a network has no program that could go out. A proxy that denies everything starts later.
    if (this.#gate.policy === "none" || sandbox.network === undefined) return;
    // One change after the other.
    const done = this.#applied.then(() => this.#openBoth(sandbox));
    this.#applied = done.catch(() => undefined);
    await done;
  }

  async #openBoth({ network, files }: Sandbox): Promise<void> {
    if (network === undefined) return;
    this.#denying?.close();
    this.#denying = undefined;
    const proxy = await this.#open(network);
    if (this.#transparent !== undefined) return await (await this.#transparent)?.change();
    // A host that cannot intercept connections has the proxy only; the doctor says why.
    const started = TransparentEgress.start({ network, gate: this.#gate, proxy }).catch(() => undefined);
    this.#transparent = started;
    const opened = await started;
    this.#leadsAllPorts = opened?.leadsAllPorts === true;
    if (opened === undefined) this.#transparent = undefined;
    else await nameResolver(files);
  }

  async change(policy: OutboundPolicy): Promise<void> {
    await this.#load();
    await this.#deps.store.put([[NETWORK_POLICY_KEY, Buffer.from(JSON.stringify(policy))]]);
    this.#gate.change(policy);
  }

  async info(): Promise<NetworkPolicyInfo> {
    await this.#load();
    const headers = Object.entries(this.#options.headers);
    return {
      outbound: this.#gate.policy,
      headers: Object.fromEntries(headers.map(([origin, added]) => [origin, Object.keys(added)])),
    };
  }

  /** Returns why the policy does not allow a client's service, if it does not. */
  async refuseOffer(host: string, port: number): Promise<string | undefined> {
    await this.#load();
    return this.#gate.refuseName(host, port);
  }

  get traffic(): { bytesOut: number; bytesIn: number } {
    return this.#gate.traffic;
  }

  /** Ends everything of a boot that is down. */
  down(): void {
    this.close();
    this.#gate.resetTraffic();
  }

  close(): void {
    const proxy = this.#proxy;
    const transparent = this.#transparent;
    this.#proxy = undefined;
    this.#transparent = undefined;
    this.#leadsAllPorts = false;
    this.#port = undefined;
    this.#firstStart = undefined;
    this.#denying?.close();
    this.#denying = undefined;
    this.#trust.forget();
    void transparent?.then((open) => open?.close());
    proxy?.then(
      (open) => open.close(),
      () => undefined,
    );
    this.#gate.close();
  }

  async #open(network: SandboxNetwork): Promise<OutboundProxy> {
    if (this.#proxy === undefined) {
      const proxy = this.#start(network);
      this.#proxy = proxy;
      proxy.catch(() => {
        if (this.#proxy === proxy) this.#proxy = undefined;
      });
    }
    const opened = await this.#proxy;
    this.#port = opened.port;
    return opened;
  }

  async #start(network: SandboxNetwork): Promise<OutboundProxy> {
    return new OutboundProxy(await network.listen(PROXY_PORT), {
      gate: this.#gate,
      ownerOf: (connection) => network.ownerOf(connection),
      credentials: () => this.secrets.rules,
      authority: () => this.#trust.authority,
      trust: () => this.#upstreamTrust(),
    });
  }

  /** Authorities that the server trusts. `undefined`: the system's, which Node keeps at hand. */
  #upstreamTrust(): SecureContext | undefined {
    const { ca } = this.#options;
    const system = this.#seams.ca;
    if (ca === undefined && system === undefined) return undefined;
    // Takes 15 ms for Node's authorities, with those of NODE_EXTRA_CA_CERTS.
    this.#upstream ??= createSecureContext({
      ca: [...(system === undefined ? getCACertificates("default") : [system]), ...(ca ? [ca] : [])],
    });
    return this.#upstream;
  }

  async #read(): Promise<void> {
    const isBounded = this.#options.limits?.totalBytes !== undefined;
    const before = isBounded ? ((await this.#deps.bytesBefore?.()) ?? 0) : 0;
    const [kept] = await this.#deps.store.get([NETWORK_POLICY_KEY]);
    // A failed load is repeated, so this addition comes after everything that can fail.
    this.#gate.spentBefore(before);
    if (kept === undefined) return;
    // A policy that this version cannot read denies everything.
    const policy = outboundSchema.safeParse(parseJson(Buffer.from(kept).toString()));
    this.#gate.change(policy.success ? policy.data : "none");
  }
}

/** Names the VM's resolver in its configuration, unless a program of the VM has written one. */
async function nameResolver(files: Sandbox["files"]): Promise<void> {
  try {
    const written = await files.readFile(RESOLV_CONF, MAX_RESOLV_CONF_BYTES);
    if (Buffer.from(written).toString().trim() !== "") return;
    await files.writeFile(RESOLV_CONF, Buffer.from(`nameserver ${RESOLVER_ADDRESS}\n`));
  } catch {
    // It is large, or gone, or the files are read-only.
  }
}
