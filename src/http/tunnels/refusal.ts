import type { WebSocket } from "ws";
import type { AgentVmError } from "../../api/errors.ts";
import { errorBody } from "../../base/mux/error-body.ts";
import { encodeMuxFrame, FRAME } from "../../base/mux/frames.ts";

/** Close code of a WebSocket that the server refuses. */
const REFUSED = 1011;

/** Closes the WebSocket of a tunnel with an error, which its client can only read as a message. */
export function refuseTunnel(socket: WebSocket, error: AgentVmError): void {
  socket.on("error", () => socket.terminate());
  socket.send(encodeMuxFrame(FRAME.reset, 0, errorBody(error)));
  socket.close(REFUSED, error.code);
}
