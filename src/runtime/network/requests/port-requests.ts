import { limitExceeded } from "../../../api/errors.ts";
import type { VmFetchOptions, VmFetchResponse } from "../../../api/methods/network.ts";
import { BytePool, ByteShare } from "../../../base/byte-share.ts";
import {
  MAX_FETCH_STREAMS,
  MAX_FETCHES_BYTES,
  MAX_SERVER_FETCHES_BYTES,
  SMALL_FETCHES_BYTES,
} from "../limits.ts";
import type { AppPorts } from "./app-ports.ts";
import { fetchPort, maximumBody } from "./fetch.ts";
import { fetchStream, type StreamedBody, type StreamedResponse } from "./fetch-stream.ts";
import { FreshAgent, VmAgent } from "./http-agent.ts";

export interface StreamedRequest {
  options: VmFetchOptions;
  body: StreamedBody | undefined;
}

const pool = new BytePool(MAX_SERVER_FETCHES_BYTES);

/** Requests of `vmFetch` to the ports of one VM, with the connections that they keep. */
export class PortRequests {
  readonly #ports: AppPorts;
  readonly #maxBodyBytes: number;
  readonly #memory: ByteShare;
  readonly #agent: VmAgent;
  /** Of its own, because a stream may keep its connection for hours. */
  readonly #streamAgent: VmAgent;
  readonly #freshAgent: FreshAgent;
  #streams = 0;

  constructor(ports: AppPorts, maxResultBytes: number) {
    this.#ports = ports;
    this.#maxBodyBytes = maximumBody(maxResultBytes);
    const most = Math.max(MAX_FETCHES_BYTES, this.#maxBodyBytes);
    this.#memory = new ByteShare({ most, small: SMALL_FETCHES_BYTES, pool });
    this.#agent = new VmAgent(ports.connect);
    this.#streamAgent = new VmAgent(ports.connect, MAX_FETCH_STREAMS);
    this.#freshAgent = new FreshAgent(ports.connect, MAX_FETCH_STREAMS);
  }

  /** @param signals each of them ends the request */
  fetch(
    port: number,
    path: string,
    options: VmFetchOptions,
    signals: readonly (AbortSignal | undefined)[],
  ): Promise<VmFetchResponse> {
    return fetchPort(port, path, options, {
      agent: this.#agent,
      connect: this.#ports.connect,
      speaksTls: this.#ports.speaksTls,
      maxBodyBytes: this.#maxBodyBytes,
      memory: this.#memory,
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
