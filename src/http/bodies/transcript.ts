import { parseArgs } from "../../api/methods/parse.ts";
import type { BodyKind } from "./body.ts";
import { sendBody } from "./pump.ts";

/** Sends the transcript of a session as one document, part by part. */
export const transcriptOut: BodyKind = {
  method: "readTranscript",
  prepare({ query, id }) {
    const format = query.get("format") ?? undefined;
    const [sessionId, options = {}] = parseArgs("readTranscript", [id, { format }]);
    return {
      args: [sessionId, options],
      run(vm, response, signal) {
        let rest: Uint8Array = new Uint8Array();
        let after = -1;
        let end = false;
        const fill = async (target: Uint8Array): Promise<number> => {
          while (rest.length === 0 && !end) {
            const part = await vm.readTranscript(sessionId, { ...options, after });
            rest = Buffer.from(part.data);
            ({ last: after, end } = part);
          }
          const piece = rest.subarray(0, target.length);
          target.set(piece);
          rest = rest.subarray(piece.length);
          return piece.length;
        };
        return sendBody({ length: undefined, fill }, response, signal);
      },
    };
  },
};
