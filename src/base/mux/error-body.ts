import { AgentVmError, receivedError } from "../../api/errors.ts";
import { parseJson } from "../json.ts";
import { MAX_TEXT_BYTES } from "./frames.ts";

const MAX_MESSAGE_CHARACTERS = 1_000;

/** Encodes the error of a stream; no error is an empty body. */
export function errorBody(error: AgentVmError | undefined): Uint8Array {
  if (error === undefined) return new Uint8Array();
  const { code, metadata } = error;
  const message = error.message.slice(0, MAX_MESSAGE_CHARACTERS);
  const whole = new TextEncoder().encode(JSON.stringify({ code, message, metadata }));
  return whole.byteLength <= MAX_TEXT_BYTES
    ? whole
    : new TextEncoder().encode(JSON.stringify({ code, message }));
}

/** Decodes the error of a stream. */
export function errorOf(body: Uint8Array): AgentVmError | undefined {
  if (body.byteLength === 0) return undefined;
  const { code, message, metadata } = Object(parseJson(new TextDecoder().decode(body))) as Record<
    string,
    unknown
  >;
  if (typeof code !== "string" || typeof message !== "string")
    return new AgentVmError("connection_lost", "The stream ended with an error that cannot be read");
  return receivedError(code, message, Object(metadata) as Record<string, unknown>);
}
