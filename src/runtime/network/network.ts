import { AgentVmError, limitExceeded, previewDenied, vmStopped } from "../../api/errors.ts";
import type {
  NetworkLogEntry,
  NetworkMethods,
  NetworkPolicy,
  NetworkPolicyInfo,
  PreviewInfo,
  PreviewUrl,
  VmFetchOptions,
  VmFetchResponse,
  VmPort,
  WaitForPortOptions,
} from "../../api/methods/network.ts";
import type { SecretInfo, SecretMethods, VmSecret } from "../../api/methods/secrets.ts";
import type { Env } from "../../api/values.ts";
import { capabilityOf, type Sandbox, type SandboxNetwork } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { MAX_FETCH_STREAMS, MAX_PREVIEW_CONNECTIONS } from "./limits.ts";
import {
  Outbound,
  type OutboundDeps,
  type OutboundOptions,
  type OutboundSeams,
} from "./outbound/outbound.ts";
import { PortWatch } from "./port-watch.ts";
import { type PreviewFetch, proxyFetch } from "./previews/preview-fetch.ts";
import {
  type PreviewRequest,
  type PreviewUpgrade,
  type PreviewWay,
  proxyRequest,
  proxyUpgrade,
} from "./previews/preview-proxy.ts";
import { Previews } from "./previews/previews.ts";
import { refusalResponse, refuse, refuseUpgrade } from "./previews/refusals.ts";
import { waitForPort } from "./readiness.ts";
import { AppPorts } from "./requests/app-ports.ts";
import { fetchPort } from "./requests/fetch.ts";
import { fetchStream, type StreamedBody, type StreamedResponse } from "./requests/fetch-stream.ts";
import { FreshAgent, VmAgent } from "./requests/http-agent.ts";

type NetworkDeps = OutboundDeps &
  Pick<VmServices, "sandbox" | "liveSandbox" | "upcomingSandbox" | "maxResultBytes">;

/** Network methods of one VM: ports, HTTP requests to them, preview URLs and the outbound policy. */
export class Network implements Omit<NetworkMethods, "createSignedPreviewUrl">, SecretMethods {
  readonly #watch: PortWatch;
  readonly #previews: Previews;
  readonly #outbound: Outbound;
  readonly #deps: NetworkDeps;
  readonly #agent: VmAgent;
  /** Of its own, because a stream may keep its connection for hours. */
  readonly #streamAgent: VmAgent;
  readonly #freshAgent: FreshAgent;
  readonly #ports: AppPorts;
  /** Asked when nothing listens at a port. @returns `true` if something listens there now */
  onRefused: (port: number, signal: AbortSignal | undefined) => Promise<boolean> = async () => false;
  readonly #stopped = new AbortController();
  #visits = 0;
  #streams = 0;

  constructor(deps: NetworkDeps, options: OutboundOptions, seams?: OutboundSeams) {
    this.#deps = deps;
    this.#previews = new Previews(deps.store);
    this.#outbound = new Outbound(deps, options, seams);
    this.#ports = new AppPorts((port, signal) => this.#connect(port, signal));
    this.#agent = new VmAgent(this.#ports.connect);
    this.#streamAgent = new VmAgent(this.#ports.connect, MAX_FETCH_STREAMS);
    this.#freshAgent = new FreshAgent(this.#ports.connect, MAX_FETCH_STREAMS);
    this.#watch = new PortWatch({
      listening: () => deps.liveSandbox()?.network?.listening(),
      isBusy: () => deps.liveSandbox()?.processes?.isBusy(),
      emit: deps.emit,
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
      connect: this.#ports.connect,
      speaksTls: this.#ports.speaksTls,
      maxResultBytes: this.#deps.maxResultBytes,
      signal: this.#signalFor(signal),
    });
  }

  /**
   * Sends a request whose bodies are streams.
   *
   * @param respond sends the response on. Its end is the end of the request
   * @throws AgentVmError as `vmFetch`; `limit_exceeded`
   */
  async fetchStream(
    port: number,
    path: string,
    {
      options,
      body,
      signal,
    }: { options: VmFetchOptions; body: StreamedBody | undefined; signal: AbortSignal },
    respond: (response: StreamedResponse) => Promise<void>,
  ): Promise<void> {
    if (this.#streams >= MAX_FETCH_STREAMS)
      throw limitExceeded({ MAX_FETCH_STREAMS }, "Limit of open requests reached", "Wait until one ends.");
    this.#streams += 1;
    try {
      const response = await fetchStream(port, path, options, body, {
        kept: this.#streamAgent,
        fresh: this.#freshAgent,
        speaksTls: this.#ports.speaksTls,
        signal: this.#signalFor(signal),
      });
      try {
        await respond(response);
      } finally {
        if (!response.body.readableEnded) response.body.destroy();
      }
    } finally {
      this.#streams -= 1;
    }
  }

  async listPorts(): Promise<VmPort[]> {
    const network = await this.#network("listPorts");
    const ports = await network.listening();
    this.#watch.update(ports);
    return ports;
  }

  waitForPort(port: number, options: WaitForPortOptions = {}, signal?: AbortSignal): Promise<void> {
    return waitForPort(port, options, {
      listening: () => this.listPorts(),
      get: (to, path, timeoutMs) => this.vmFetch(to, path, { timeoutMs }, signal),
      signal: this.#signalFor(signal),
    });
  }

  /** Creates a preview without its URLs, which only the HTTP server knows. */
  createPreview(port: number, expiresInSeconds?: number): Promise<Omit<PreviewUrl, "url" | "pathUrl">> {
    return this.#previews.create(port, expiresInSeconds);
  }

  expireSignedPreviewUrl(tokenOrId: string): Promise<void> {
    return this.#previews.expire(tokenOrId);
  }

  listPreviews(): Promise<PreviewInfo[]> {
    return this.#previews.list();
  }

  async setNetworkPolicy({ outbound }: NetworkPolicy): Promise<void> {
    await this.#outbound.change(outbound);
    await this.#apply();
  }

  async setSecrets(secrets: Record<string, VmSecret | null>): Promise<void> {
    await this.#outbound.secrets.set(secrets);
    await this.#apply();
  }

  listSecrets(): Promise<SecretInfo[]> {
    return this.#outbound.secrets.list();
  }

  /** Bytes that have gone through the outbound proxy since the boot. */
  get traffic(): { bytesOut: number; bytesIn: number } {
    return this.#outbound.traffic;
  }

  getNetworkPolicy(): Promise<NetworkPolicyInfo> {
    return this.#outbound.info();
  }

  async getNetworkLog(): Promise<NetworkLogEntry[]> {
    return this.#outbound.log.entries;
  }

  denialsSince(time: number): NetworkLogEntry[] {
    return this.#outbound.log.since(time);
  }

  /**
   * Serves a browser's request or WebSocket below a preview's path. Never rejects.
   *
   * @param admit called if the token is valid, before anything is served
   */
  async servePreview(
    token: string,
    visit: PreviewRequest | PreviewUpgrade,
    admit: () => void,
  ): Promise<void> {
    const fail = (error: AgentVmError) =>
      "socket" in visit ? refuseUpgrade(visit.socket, error) : refuse(visit.response, error);
    if (this.#visits >= MAX_PREVIEW_CONNECTIONS) return fail(busy());
    this.#visits += 1;
    try {
      const way = await this.#openWay(token);
      if (way === undefined) return fail(previewDenied());
      admit();
      await ("socket" in visit ? proxyUpgrade(visit, way) : proxyRequest(visit, way));
    } catch (error) {
      fail(new AgentVmError("preview_failed", "The preview could not be served", {}, { cause: error }));
    } finally {
      this.#visits -= 1;
    }
  }

  /** Serves a preview request that arrives as a `Request` object. It counts as open until its response begins. */
  async fetchPreview(token: string, visit: PreviewFetch): Promise<Response> {
    if (this.#visits >= MAX_PREVIEW_CONNECTIONS) return refusalResponse(busy());
    this.#visits += 1;
    try {
      const way = await this.#openWay(token);
      return way === undefined ? refusalResponse(previewDenied()) : await proxyFetch(visit, way);
    } finally {
      this.#visits -= 1;
    }
  }

  /** Starts the outbound proxy, if the policy needs one, before the VM runs its first program. */
  prepare(sandbox: Sandbox): Promise<void> {
    return this.#outbound.apply(sandbox);
  }

  /** Environment variables that point commands to the outbound proxy. */
  env(): Env {
    return this.#outbound.env;
  }

  /** Polls for new ports while a program runs. */
  running(work: Promise<unknown>): void {
    this.#watch.during(work);
  }

  /** Ends what goes out of a VM that is down. The next boot applies the policy again. */
  down(): void {
    this.#outbound.close();
  }

  stop(): void {
    this.#stopped.abort(vmStopped());
    void this.#previews.close();
    this.#outbound.close();
    this.#watch.stop();
    this.#agent.destroy();
    this.#streamAgent.destroy();
    this.#freshAgent.destroy();
  }

  /** Applies a change to the sandbox, if there is one. */
  async #apply(): Promise<void> {
    const sandbox = await this.#deps.upcomingSandbox();
    if (sandbox !== undefined) await this.#outbound.apply(sandbox);
  }

  /** Returns where a preview leads, or `undefined` for an invalid token. */
  async #openWay(token: string): Promise<PreviewWay | undefined> {
    const preview = await this.#previews.open(token);
    const { connect, speaksTls } = this.#ports;
    return preview && { ...preview, connect, speaksTls };
  }

  /** Returns a signal that aborts when the VM stops or the caller aborts. */
  #signalFor(given: AbortSignal | undefined): AbortSignal {
    const stopped = this.#stopped.signal;
    return given === undefined ? stopped : AbortSignal.any([stopped, given]);
  }

  async #network(action: string): Promise<SandboxNetwork> {
    return capabilityOf(await this.#deps.sandbox(), "network", action);
  }

  async #connect(port: number, signal?: AbortSignal) {
    const network = await this.#network("Reaching a port");
    try {
      return await network.connect(port, signal === undefined ? {} : { signal });
    } catch (error) {
      if (!(error instanceof AgentVmError) || error.code !== "ECONNREFUSED") throw error;
      if (await this.onRefused(port, signal)) return await network.connect(port, signal ? { signal } : {});
      const found = (await network.listening()).filter((socket) => socket.port === port);
      if (found.length === 0) throw error;
      const addresses = found.map(({ address }) => address).join(" and ");
      throw new AgentVmError("ECONNREFUSED", `${error.message}: the port listens only on ${addresses}`, {
        ...error.metadata,
      });
    }
  }
}

function busy(): AgentVmError {
  return limitExceeded(
    { MAX_PREVIEW_CONNECTIONS },
    "Preview connection limit of the VM reached",
    "Try again later.",
  );
}
