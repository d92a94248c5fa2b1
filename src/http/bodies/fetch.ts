import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { invalidArgument } from "../../api/errors.ts";
import { encodeHead, FETCH_HEADER } from "../../api/fetch-head.ts";
import { parseArgs } from "../../api/methods/parse.ts";
import { parseJson } from "../../base/json.ts";
import { fetchFailed } from "../../runtime/network/requests/answers.ts";
import type { StreamedResponse } from "../../runtime/network/requests/fetch-stream.ts";
import { framingOf, hasBody } from "../../runtime/network/requests/framing.ts";
import type { BodyKind, BodyRequest } from "./body.ts";
import { clientLeft } from "./pump.ts";

/** Sends a request to a port of the VM, with this request's body, and answers with the response while it arrives. */
export const requestIntoVm: BodyKind = {
  method: "vmFetch",
  prepare({ request }) {
    const args = parseArgs("vmFetch", headOf(request));
    const [port, path, options = {}] = args;
    const framing = framingOf(request);
    if (framing === undefined) throw invalidArgument("body", "a body whose end is clear", undefined);
    const length = framing["content-length"]?.[0];
    const body = hasBody(framing)
      ? { stream: request, length: length === undefined ? undefined : Number(length) }
      : undefined;
    return {
      args: [...args],
      async run(vm, response, signal) {
        try {
          const respond = (answer: StreamedResponse) => sendOn(port, answer, response);
          await vm.fetchStream(port, path, { options, body, signal }, respond);
        } finally {
          request.resume();
        }
      },
    };
  },
};

async function sendOn(
  port: number,
  { body, ...head }: StreamedResponse,
  response: ServerResponse,
): Promise<void> {
  try {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    response.write(encodeHead(head));
    await pipeline(body, response);
  } catch (error) {
    // The status is sent already. The connection is cut, and the error is only counted.
    const { code, name } = error as NodeJS.ErrnoException;
    const hasLeft = code === "ERR_STREAM_PREMATURE_CLOSE" || name === "AbortError";
    throw hasLeft ? clientLeft(error) : fetchFailed(port, error as Error);
  }
}

/** @throws AgentVmError `invalid_argument` */
function headOf({ headers }: BodyRequest["request"]): unknown[] {
  const text = headers[FETCH_HEADER]?.toString() ?? "";
  const head = parseJson(Buffer.from(text, "base64url").toString());
  if (Array.isArray(head)) return head;
  throw invalidArgument(FETCH_HEADER, "the arguments of vmFetch", head);
}
