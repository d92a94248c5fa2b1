import type { NetworkMethods } from "../../api/actions.ts";
import { AgentVmError, limitExceeded, vmStopped } from "../../api/errors.ts";
import { MAX_PREVIEW_CONNECTIONS } from "../../api/limits.ts";
import type {
  NetworkLogEntry,
  NetworkPolicy,
  NetworkPolicyInfo,
  PreviewInfo,
  PreviewUrl,
  VmFetchOptions,
  VmFetchResponse,
  VmPort,
  WaitForPortOptions,
} from "../../api/types.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store.ts";
import { VmAgent } from "./agent.ts";
import { fetchPort } from "./fetch.ts";
import { Outbound, type OutboundOptions, type OutboundSeams } from "./outbound/outbound.ts";
import { PortWatch, type PortWatchParts } from "./port-watch.ts";
import { type PreviewFetch, proxyFetch, refusalResponse } from "./preview-fetch.ts";
import {
  type PreviewRequest,
  type PreviewUpgrade,
  type PreviewWay,
  proxyRequest,
  proxyUpgrade,
  refuse,
  refuseUpgrade,
} from "./preview-proxy.ts";
import { Previews } from "./previews.ts";
import { waitForPort } from "./readiness.ts";

export interface NetworkParts {
  /** Boots the VM where it is not up. */
  sandbox(): Promise<Sandbox>;
  /** The VM that is up. */
  current(): Sandbox | undefined;
  /** The VM that is up, or is about to be. */
  upcoming(): Promise<Sandbox | undefined>;
  emit: PortWatchParts["emit"];
  store: Store;
  options: OutboundOptions;
  /** For tests: another resolver, another certificate authority. */
  seams?: OutboundSeams | undefined;
  maxResultBytes: number;
}

/** The ports of one VM: asked, listed, waited for. */
export class Network implements Omit<NetworkMethods, "createSignedPreviewUrl"> {
  readonly watch: PortWatch;
  readonly previews: Previews;
  readonly outbound: Outbound;
  readonly #parts: NetworkParts;
  readonly #agent: VmAgent;
  readonly #stopped = new AbortController();
  #visits = 0;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
    this.previews = new Previews(parts.store);
    this.outbound = new Outbound(parts);
    this.#agent = new VmAgent((port, signal) => this.#connect(port, signal));
    this.watch = new PortWatch({
      listening: () => parts.current()?.network.listening(),
      isBusy: () => parts.current()?.isBusy(),
      emit: parts.emit,
    });
  }

  vmFetch(
    port: number,
    path: string,
    options: VmFetchOptions = {},
    signal?: AbortSignal,
  ): Promise<VmFetchResponse> {
    return fetchPort(port, path, options, {
      agent: this.#agent,
      connect: (to, given) => this.#connect(to, given),
      maxResultBytes: this.#parts.maxResultBytes,
      signal: this.#until(signal),
    });
  }

  async listPorts(): Promise<VmPort[]> {
    const { network } = await this.#parts.sandbox();
    const ports = await network.listening();
    this.watch.saw(ports);
    return ports;
  }

  waitForPort(port: number, options: WaitForPortOptions = {}, signal?: AbortSignal): Promise<void> {
    return waitForPort(port, options, {
      listening: () => this.listPorts(),
      get: (to, path, timeoutMs) => this.vmFetch(to, path, { timeoutMs }, signal),
      signal: this.#until(signal),
    });
  }

  /** createSignedPreviewUrl without its `url`, which only a server knows. */
  createPreview(port: number, expiresInSeconds?: number): Promise<Omit<PreviewUrl, "url">> {
    return this.previews.create(port, expiresInSeconds);
  }

  expireSignedPreviewUrl(tokenOrId: string): Promise<void> {
    return this.previews.expire(tokenOrId);
  }

  listPreviews(): Promise<PreviewInfo[]> {
    return this.previews.list();
  }

  async setNetworkPolicy({ outbound }: NetworkPolicy): Promise<void> {
    await this.outbound.change(outbound);
    const sandbox = await this.#parts.upcoming();
    if (sandbox !== undefined) await this.outbound.booted(sandbox);
  }

  getNetworkPolicy(): Promise<NetworkPolicyInfo> {
    return this.outbound.info();
  }

  async getNetworkLog(): Promise<NetworkLogEntry[]> {
    return this.outbound.log.entries;
  }

  /** Answers a browser's request below a preview's path; never rejects. */
  async servePreview(token: string, visit: PreviewRequest | PreviewUpgrade): Promise<void> {
    const fail = (error: AgentVmError) =>
      "socket" in visit ? refuseUpgrade(visit.socket, error) : refuse(visit.response, error);
    if (this.#visits >= MAX_PREVIEW_CONNECTIONS) return fail(busy());
    this.#visits += 1;
    try {
      const way = await this.#wayOf(token);
      if (way === undefined) return fail(denied());
      await ("socket" in visit ? proxyUpgrade(visit, way) : proxyRequest(visit, way));
    } catch (error) {
      fail(new AgentVmError("preview_failed", "The preview could not be served", {}, { cause: error }));
    } finally {
      this.#visits -= 1;
    }
  }

  /** The same where a request comes as an object. It counts until its answer begins. */
  async fetchPreview(token: string, visit: PreviewFetch): Promise<Response> {
    if (this.#visits >= MAX_PREVIEW_CONNECTIONS) return refusalResponse(busy());
    this.#visits += 1;
    try {
      const way = await this.#wayOf(token);
      return way === undefined ? refusalResponse(denied()) : await proxyFetch(visit, way);
    } finally {
      this.#visits -= 1;
    }
  }

  dispose(): void {
    this.#stopped.abort(vmStopped());
    void this.previews.close();
    this.outbound.close();
    this.watch.stop();
    this.#agent.destroy();
  }

  /** Where a preview leads; `undefined` for a token that opens none. */
  async #wayOf(token: string): Promise<PreviewWay | undefined> {
    const preview = await this.previews.open(token);
    return preview && { ...preview, connect: (port, signal) => this.#connect(port, signal) };
  }

  /** Aborts with the end of the VM, or when whoever asked gives up. */
  #until(given: AbortSignal | undefined): AbortSignal {
    const stopped = this.#stopped.signal;
    return given === undefined ? stopped : AbortSignal.any([stopped, given]);
  }

  async #connect(port: number, signal?: AbortSignal) {
    const { network } = await this.#parts.sandbox();
    return await network.connect(port, signal === undefined ? {} : { signal });
  }
}

function denied(): AgentVmError {
  return new AgentVmError("preview_denied", "The preview URL is unknown or has expired");
}

function busy(): AgentVmError {
  return limitExceeded("MAX_PREVIEW_CONNECTIONS", MAX_PREVIEW_CONNECTIONS, "The previews are busy");
}
