import { constants, type ServerHttp2Stream } from "node:http2";
import { isGrpc } from "../grpc.ts";
import { bodyOf } from "../http/answer.ts";

/** Codes of gRPC for answers of the server itself. */
const GRPC_STATUS: Record<number, number> = { 400: 3, 403: 7, 502: 14 };
const GRPC_UNIMPLEMENTED = 12;

/** Answers a request in the host's place. @param type content type of the request */
export function answerStream(stream: ServerHttp2Stream, type: string, status: number, text: string): void {
  if (stream.destroyed || stream.closed) return;
  if (stream.headersSent) return void stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  if (isGrpc(type)) {
    // A gRPC client shows the message of a response that has no body.
    const message = encodeURIComponent(bodyOf(text)).replaceAll("%20", " ");
    const grpc = {
      "grpc-status": String(GRPC_STATUS[status] ?? GRPC_UNIMPLEMENTED),
      "grpc-message": message,
    };
    stream.respond({ ":status": 200, "content-type": type, ...grpc }, { endStream: true });
  } else {
    stream.respond({ ":status": status, "content-type": "text/plain" });
    stream.end(bodyOf(text));
  }
  // The rest of the request's body is of no use.
  stream.resume();
}
