//! The real handler, with what the official suite prescribes beside it. Whatever the suite does not prescribe is the
//! product's own answer.

#![allow(deprecated, reason = "the older era is tested, too")]

use std::sync::Arc;

use rmcp::model::*;
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use waypost::mcp::Server;

use super::prescribed::{self, complete, typed};
use super::rounds::{self, Played};

/// Which list a tool says has changed.
#[derive(Debug, Clone, Copy)]
pub enum Trigger {
    Tools,
    Prompts,
}

/// The real one with fixtures.
pub struct Wrapped {
    pub real: Server,
    pub triggers: Arc<broadcast::Sender<Trigger>>,
}

type Context = RequestContext<RoleServer>;

impl Wrapped {
    async fn fixture(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        let (responses, state) = (request.input_responses.as_ref(), request.request_state.as_deref());
        if let Some(played) = rounds::play(name, responses, state, context) {
            return Ok(match played? {
                Played::Ask(asked) => asked.into(),
                Played::Done(block) => complete::<CallToolResult>(json!({"content": [block]})).into(),
            });
        }
        match name {
            "test_missing_capability" => {
                let sampling: ClientCapabilities = typed(json!({"sampling": {}}));
                let declared =
                    context.client_capabilities().is_some_and(|declared| declared.sampling.is_some());
                if !declared {
                    return Err(ErrorData::missing_required_client_capability(sampling));
                }
            }
            "test_trigger_tool_change" => drop(self.triggers.send(Trigger::Tools)),
            "test_trigger_prompt_change" => drop(self.triggers.send(Trigger::Prompts)),
            "test_tool_with_logging" => log(context, 3).await,
            "test_logging_tool" if context.meta.log_level().is_some() => log(context, 1).await,
            "test_tool_with_progress" => progress(context).await,
            "test_sampling"
            | "test_elicitation"
            | "test_elicitation_sep1034_defaults"
            | "test_elicitation_sep1330_enums" => {
                let arguments = json!(request.arguments);
                return Ok(rounds::ask_between(name, &arguments, context).await.into());
            }
            _ => {}
        }
        Ok(prescribed::answer(name).into())
    }

    async fn relay(&self, sink: SubscriptionSink) {
        let mut triggers = self.triggers.subscribe();
        while let Ok(trigger) = triggers.recv().await {
            // What was not asked for is refused by the sink.
            let _ = match trigger {
                Trigger::Tools => sink.notify_tool_list_changed().await,
                Trigger::Prompts => sink.notify_prompt_list_changed().await,
            };
        }
    }
}

async fn log(context: &Context, times: usize) {
    for message in
        ["Tool execution started", "Tool processing data", "Tool execution completed"].iter().take(times)
    {
        let message = typed(json!({"level": "info", "logger": "suite", "data": message}));
        let _ = context.peer.notify_logging_message(message).await;
    }
}

async fn progress(context: &Context) {
    let Some(token) = context.meta.get_progress_token() else { return };
    for progress in [0.0, 50.0, 100.0] {
        let mut step = ProgressNotificationParam::new(token.clone(), progress);
        step.total = Some(100.0);
        let _ = context.peer.notify_progress(step).await;
    }
}

fn is_prescribed(name: &str) -> bool {
    name.starts_with("test_") || name == "json_schema_2020_12_tool"
}

impl ServerHandler for Wrapped {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.real.get_info();
        info.capabilities.logging = Some(JsonObject::new());
        info
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = self.real.list_tools(page, context).await?;
        list.tools.extend(prescribed::tools());
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        prescribed::tools().into_iter().find(|tool| tool.name == name).or_else(|| self.real.get_tool(name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        match is_prescribed(&request.name) {
            true => self.fixture(&request, &context).await,
            false => self.real.call_tool(request, context).await,
        }
    }

    async fn list_prompts(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut list = self.real.list_prompts(page, context).await?;
        list.prompts.extend(prescribed::prompts());
        Ok(list)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        if !is_prescribed(&request.name) {
            return self.real.get_prompt(request, context).await;
        }
        let (responses, state) = (request.input_responses.as_ref(), request.request_state.as_deref());
        if let Some(played) = rounds::play(&request.name, responses, state, &context)
            && let Played::Ask(asked) = played?
        {
            return Ok(asked.into());
        }
        let arguments = request.arguments.map_or(Value::Null, Value::Object);
        Ok(prescribed::prompt(&request.name, &arguments).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: Context,
    ) -> Result<CompleteResult, ErrorData> {
        match request.r#ref.as_prompt_name() {
            Some(name) if is_prescribed(name) => {
                Ok(complete(json!({"completion": {"values": ["paris", "park", "party"], "hasMore": false}})))
            }
            _ => self.real.complete(request, context).await,
        }
    }

    async fn set_level(&self, request: SetLevelRequestParams, context: Context) -> Result<(), ErrorData> {
        self.real.set_level(request, context).await
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut list = self.real.list_resources(page, context).await?;
        list.resources.extend(prescribed::resources());
        Ok(list)
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut list = self.real.list_resource_templates(page, context).await?;
        list.resource_templates.push(prescribed::template());
        Ok(list)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match prescribed::resource(&request.uri) {
            Some(resource) => Ok(resource.into()),
            None => self.real.read_resource(request, context).await,
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.real.accepted_subscription_filter(requested)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.real.on_initialized(context).await;
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let relayed = self.relay(context.sink().clone());
        tokio::select! {
            () = relayed => Ok(()),
            ended = self.real.listen(context) => ended,
        }
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: Context) -> Result<(), ErrorData> {
        self.real.subscribe(request, context).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: Context,
    ) -> Result<(), ErrorData> {
        self.real.unsubscribe(request, context).await
    }
}
