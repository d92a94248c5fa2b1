import { limitExceeded } from "../../../api/errors.ts";
import type { VmFetchOptions, VmFetchResponse } from "../../../api/methods/network.ts";
import { MAX_FETCH_STREAMS } from "../limits.ts";
import type { AppPorts } from "./app-ports.ts";
import { fetchPort } from "./fetch.ts";
import { fetchStream, type StreamedBody, type StreamedResponse } from "./fetch-stream.ts";
import { FreshAgent, VmAgent } from "./http-agent.ts";

export interface StreamedRequest {
  options: VmFetchOptions;
  body: StreamedBody | undefined;
}

/** Requests of `vmFetch` to the ports of one VM, with the connections that they keep. */
export class PortRequests {
  readonly #ports: AppPorts;
  readonly #maxResultBytes: number;
  readonly #agent: VmAgent;
  /** Of its own, because a stream may keep its connection for hours. */
  readonly #streamAgent: VmAgent;
  readonly #freshAgent: FreshAgent;
  #streams = 0;

  constructor(ports: AppPorts, maxResultBytes: number) {
    this.#ports = ports;
    this.#maxResultBytes = maxResultBytes;
    this.#agent = new VmAgent(ports.connect);
    this.#streamAgent = new VmAgent(ports.connect, MAX_FETCH_STREAMS);
    this.#freshAgent = new FreshAgent(ports.connect, MAX_FETCH_STREAMS);
  }

  /** @param signals each of them ends the request */
  fetch(
    port: number,
    path: string,
    options: VmFetchOptions,
    signals: readonly AbortSignal[],
  ): Promise<VmFetchResponse> {
    return fetchPort(port, path, options, {
      agent: this.#agent,
      connect: this.#ports.connect,
      speaksTls: this.#ports.speaksTls,
      maxResultBytes: this.#maxResultBytes,
      signals,
    });
  }

  /**
   * Sends a request whose bodies are streams.
   *
   * @param respond sends the response on. Its end is the end of the request
   * @throws AgentVmError as `fetch`; `limit_exceeded`
   */
  async stream(
    port: number,
    path: string,
    { options, body }: StreamedRequest,
    signal: AbortSignal,
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
        signal,
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

  close(): void {
    this.#agent.destroy();
    this.#streamAgent.destroy();
    this.#freshAgent.destroy();
  }
}
