export { createClient } from "../../src/client/index.ts";
export { listen, setup, vmActor } from "../../src/index.ts";
