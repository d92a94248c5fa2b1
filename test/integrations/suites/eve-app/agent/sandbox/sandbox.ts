import { defineSandbox } from "eve/sandbox";
import { defineSandboxProvider } from "eve/sandbox/provider";
import { eveProvider } from "../../../../../../src/adapters/ai-sdk/index.ts";
import { client } from "../../../../server.ts";

const provider = defineSandboxProvider(eveProvider(client.vm, { keyPrefix: ["eve-app"] }));

export const environment = provider.environment({ revision: process.env.REVISION ?? "" });
export default defineSandbox(() => environment.open());
