import { invalidArgument } from "../../api/errors.ts";
import { EndSignal } from "../../base/end-signal.ts";
import type { BodyKind, BodyRequest } from "./body.ts";
import { receiveBody, sendBody } from "./pump.ts";

/** Sends the bytes of a file or an archive from an offset on. */
export const bytesOut: BodyKind = {
  method: "readFileChunk",
  prepare({ query, id: transferId }) {
    const offset = offsetOf(query);
    const isResumed = query.get("resumed") === "1";
    return {
      args: [transferId, offset],
      run: (vm, response, gone) =>
        vm.bodies.send(transferId, { offset, isResumed }, (source, cut) =>
          new EndSignal([gone, cut]).during((ends) => sendBody(source, response, ends)),
        ),
    };
  },
};

/** Takes the bytes of a file or an archive from an offset on. Answers how many have arrived without a gap. */
export const bytesIn: BodyKind = {
  method: "writeFileChunk",
  prepare({ request, query, id: transferId }) {
    const offset = offsetOf(query);
    return {
      args: [transferId, offset],
      async run(vm, response, gone) {
        try {
          const received = await vm.bodies.receive(transferId, offset, (write, cut) =>
            new EndSignal([gone, cut]).during((ends) => receiveBody(request, write, ends)),
          );
          response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(received));
        } finally {
          // The rest of a refused body flows away, so that the client reads the answer.
          request.resume();
        }
      },
    };
  },
};

function offsetOf(query: BodyRequest["query"]): number {
  const text = query.get("offset") ?? "";
  const offset = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(offset)) return offset;
  throw invalidArgument("offset", "a non-negative integer", text);
}
