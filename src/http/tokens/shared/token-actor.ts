import { AgentVmError } from "../../../api/errors.ts";
import { assertNotDraining } from "../../../monitoring/draining.ts";
import { endDoubledActors } from "../../../rivet/doubled-actors.ts";
import { takeOverEngineDriver } from "../../../rivet/engine-runner.ts";
import { kvStore } from "../../../rivet/kv-store.ts";
import { type ActorDefinition, actor } from "../../../rivet/rivetkit.ts";
import { toUserError, userError } from "../../../rivet/user-error.ts";
import { ownedStore } from "../../../runtime/store/owned-store.ts";
import { MAX_TOKEN_REQUEST_BYTES } from "../../limits.ts";
import { Nonces, PeerSeal } from "../../peers/seal.ts";
import { Tokens } from "../tokens.ts";
import { TOKEN_ANSWER_MS } from "./limits.ts";
import { type Asked, askedSchema, TOKENS_PATH } from "./messages.ts";
import { TokenBook } from "./token-book.ts";

/** Bytes of a question: arguments of a call, and the rights of its client. */
const MAX_QUESTION_BYTES = 2 * MAX_TOKEN_REQUEST_BYTES;

/** Defines the actor that notes the tokens of all servers behind an engine. It answers only servers with the same secret. */
export function tokenActor(
  secret: Uint8Array,
): ActorDefinition<never, never, never, never, never, never, never, never> {
  const seal = new PeerSeal(secret);
  const nonces = new Nonces();
  const definition = actor({
    async createVars(c) {
      assertNotDraining();
      try {
        const store = ownedStore(kvStore(c.kv), { isShared: true });
        const book = await TokenBook.open(store);
        return { store, book, tokens: new Tokens(book, secret, () => undefined) };
      } catch (error) {
        throw toUserError(error, c.log, "createVars");
      }
    },
    onBeforeConnect(c) {
      const { pathname } = new URL(c.request?.url ?? "http://none");
      if (!isQuestion(pathname))
        throw userError(new AgentVmError("forbidden", "Only servers use this actor"));
    },
    async onRequest(c, request) {
      const { book, tokens } = c.vars;
      const asked = seal.open("tokens", await textOf(request), askedSchema);
      if (asked === undefined || nonces.take(asked) !== undefined)
        return new Response("Not Found", { status: 404 });
      const outcome = await answer(asked, book, tokens).then(
        (result) => ({ result }),
        (thrown: unknown) => {
          const { code, message, metadata } = toUserError(thrown, c.log, `tokens.${asked.method}`);
          return { error: { code, message, metadata: Object(metadata) } };
        },
      );
      return new Response(seal.seal("tokens answer", { nonce: asked.nonce, ...outcome }));
    },
    async onSleep(c) {
      await c.vars.store.release();
      c.vars.book.close();
    },
    actions: {},
    options: { name: "Tokens", createVarsTimeout: TOKEN_ANSWER_MS },
  });
  endDoubledActors(definition, { limitMs: TOKEN_ANSWER_MS, onDriver: takeOverEngineDriver });
  return definition as never;
}

async function answer(asked: Asked, book: TokenBook, tokens: Tokens): Promise<unknown> {
  switch (asked.method) {
    case "create":
      return await tokens.create(asked.grant, asked.request);
    case "list":
      return await tokens.list(asked.grant, asked.query);
    case "revoke":
      return await tokens.revoke(asked.grant, asked.id);
    case "renew":
      return await tokens.renew(asked.grant, asked.id);
    case "revoked":
      return book.revokedAfter(asked.epoch, asked.after);
  }
}

const isQuestion = (path: string) => path === TOKENS_PATH || path === `/request${TOKENS_PATH}`;

/** @returns `undefined` for a request that is not a question */
async function textOf(request: Request): Promise<string | undefined> {
  const isSmall = Number(request.headers.get("content-length") ?? 0) <= MAX_QUESTION_BYTES;
  const isOurs = request.method === "POST" && isQuestion(new URL(request.url).pathname) && isSmall;
  return isOurs ? await request.text() : undefined;
}
