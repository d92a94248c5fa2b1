import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import type { JsonRpcResponse } from "../../api/methods/session-types.ts";
import type { AgentKeeper, LiveAgent } from "./agent-link/agent-keeper.ts";
import { localResponse, METHOD_NOT_FOUND } from "./agent-link/rpc.ts";

import { AGENT_ANSWER_TIMEOUT_MS } from "./limits.ts";
import type { SessionLog } from "./transcript/session-log.ts";
import type { SessionState } from "./transcript/session-state.ts";
import { optionOf, settingsIn, withOption } from "./transcript/settings.ts";

/** Sets the model of agents with the old `models` field. The ACP SDK has only its replacement, config options. */
const SET_MODEL_METHOD = "session/set_model";

/** Changes an agent's mode, model and thought level, with the method that the agent supports. */
export class SettingsControl {
  readonly #state: SessionState;
  readonly #log: SessionLog;
  readonly #keeper: AgentKeeper;

  constructor(state: SessionState, log: SessionLog, keeper: AgentKeeper) {
    this.#state = state;
    this.#log = log;
    this.#keeper = keeper;
  }

  async setMode(modeId: string): Promise<JsonRpcResponse> {
    const agent = await this.#keeper.agent();
    const { settings } = this.#state.data;
    if (!settings.modes && optionOf(settings, "mode")) return this.#setOption(agent, "mode", modeId);
    return this.#set(agent, AGENT_METHODS.session_set_mode, { modeId }, () =>
      this.#log.update({ sessionUpdate: "current_mode_update", currentModeId: modeId }),
    );
  }

  async setModel(model: string): Promise<JsonRpcResponse> {
    const agent = await this.#keeper.agent();
    const { settings } = this.#state.data;
    if (optionOf(settings, "model")) return this.#setOption(agent, "model", model);
    const { models } = settings;
    if (!models) return missing(SET_MODEL_METHOD);
    return this.#set(agent, SET_MODEL_METHOD, { modelId: model }, () => {
      this.#state.setSettings({ ...settings, models: { ...models, currentModelId: model } });
      this.#log.update({ sessionUpdate: "current_model_update", currentModelId: model });
    });
  }

  async setThoughtLevel(level: string): Promise<JsonRpcResponse> {
    const agent = await this.#keeper.agent();
    const { settings } = this.#state.data;
    if (optionOf(settings, "thought_level")) return this.#setOption(agent, "thought_level", level);
    return missing(AGENT_METHODS.session_set_config_option);
  }

  #setOption(agent: LiveAgent, category: string, value: string): Promise<JsonRpcResponse> {
    const option = optionOf(this.#state.data.settings, category);
    const typed =
      typeof option?.currentValue === "boolean" ? { type: "boolean", value: value === "true" } : { value };
    const params = { configId: option?.id, ...typed };
    return this.#set(agent, AGENT_METHODS.session_set_config_option, params, (result) => {
      const reported = settingsIn(result).configOptions;
      const configOptions = reported ?? withOption(this.#state.data.settings, category, value).configOptions;
      this.#log.update({ sessionUpdate: "config_option_update", configOptions });
    });
  }

  /** @param announce adds an update to the transcript; called if the agent has sent none before its answer */
  async #set(
    { connection, agentSessionId }: LiveAgent,
    method: string,
    params: object,
    announce: (result: unknown) => void,
  ): Promise<JsonRpcResponse> {
    const version = this.#state.settingsVersion;
    const response = await connection.requestWithin(
      AGENT_ANSWER_TIMEOUT_MS,
      method,
      { sessionId: agentSessionId, ...params },
      ({ result, error }) => {
        if (!error && this.#state.settingsVersion === version) announce(result);
      },
    );
    await this.#log.flushed();
    await this.#state.settingsSaved();
    return response;
  }
}

function missing(method: string): JsonRpcResponse {
  return localResponse({
    error: { code: METHOD_NOT_FOUND, message: `Method not found: ${method}`, data: { method } },
  });
}
