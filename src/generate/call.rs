//! The course of one call: what is asked, what is asked again, and when it is given up.

use super::breaker::Pass;
use super::client::{Failure, Received};
use super::completion::{Answer, Completion, Said, Usage, read_answer};
use super::extract::extract;
use super::generator::Shared;
use super::items::{CUT, Candidate, Dropped, read_items};
use super::prompt::Prompt;
use super::render::{GenerateRequest, Messages, render};
use super::settings::{LlmSettings, excerpt};
use super::turn::{Counted, Turn};
use crate::background::spread_wait;
use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The name under which the proxy knows the model.
const MODEL: &str = "tip-generator";
const TEMPERATURE: f64 = 0.7;
/// So often a reply that cannot be used is answered with a correction, and so often a request that failed is repeated.
const REPLY_RETRIES: u32 = 2;
const FAILURE_RETRIES: u32 = 2;
/// Between requests that fail; doubled.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(5);
const SPREAD: f64 = 0.5;
/// With less time than this, or a twentieth of what a call may take, nothing more is asked.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// A proxy that has not answered for so long, or half of the time that a request may take, counts as one that is down.
const A_GOOD_DEAL: Duration = Duration::from_secs(5);
/// Of a reply that cannot be used, so much is shown to the model again.
const LONGEST_FED_BACK: usize = 2000;

/// What a call gives.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct GenerateResult {
    pub candidates: Vec<Candidate>,
    pub model: String,
    pub prompt_version: String,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub dropped: Vec<Dropped>,
    pub attempts: u32,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Payload<'m> {
    model: &'static str,
    messages: &'m [Message],
    temperature: f64,
}

/// One call on its way.
pub struct Call<'s> {
    shared: &'s Arc<Shared>,
    prompt: &'s Prompt,
    request: &'s GenerateRequest,
    deadline: Instant,
    /// Of the last request.
    patience: Duration,
    messages: Vec<Message>,
    attempts: u32,
    reply_retries: u32,
    failure_retries: u32,
    usage: Usage,
}

/// A request that was sent. Let go of without an answer, because it is late or nobody wants it any more, it tells that the proxy is down
/// if it had a good deal of time: callers may have less patience than the settings.
struct Underway<'s> {
    shared: &'s Shared,
    pass: Option<Pass<'s>>,
    began: Instant,
}

impl Underway<'_> {
    fn answered(mut self) {
        if let Some(pass) = self.pass.take() {
            pass.answered();
        }
    }

    fn failed(mut self, problem: String) {
        if let Some(pass) = self.pass.take() {
            self.shared.tally.lock().last_failure = problem;
            pass.failed(Instant::now(), false);
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let LlmSettings { timeout, deadline, .. } = &*self.shared.settings;
        let (now, enough) = (Instant::now(), (*timeout.min(deadline) / 2).min(A_GOOD_DEAL));
        let waited = now.saturating_duration_since(self.began);
        if waited >= enough
            && let Some(pass) = self.pass.take()
        {
            self.shared.tally.lock().last_failure = format!("no answer within {} ms", waited.as_millis());
            pass.failed(now, true);
        }
    }
}

/// What an answer means for a call.
enum Verdict {
    Done(GenerateResult),
    /// The reply cannot be used; `reply` is what the model wrote, where that could be read.
    Unusable {
        problem: String,
        shown: String,
        reply: Option<String>,
    },
    /// The proxy failed; it may not, later.
    Failed {
        error: Error,
        at_least: Duration,
    },
    /// It will fail again.
    Refused(Error),
}

impl<'s> Call<'s> {
    /// A call that has not begun.
    pub fn new(shared: &'s Arc<Shared>, prompt: &'s Prompt, request: &'s GenerateRequest) -> Self {
        let Messages { system, user } = render(prompt, request);
        let messages = vec![Message { role: "system", content: system }, Message { role: "user", content: user }];
        let deadline = Instant::now() + shared.settings.deadline;
        let (attempts, reply_retries, failure_retries, usage, patience) = (0, 0, 0, Usage::default(), Duration::ZERO);
        Self { shared, prompt, request, deadline, patience, messages, attempts, reply_retries, failure_retries, usage }
    }

    /// Sees it through, beginning with the turn that was taken for it.
    pub async fn run(mut self, first: Result<Turn>) -> Result<GenerateResult> {
        let mut turn = first;
        // What went wrong last: where nothing can be asked any more, that is the outcome.
        let mut last: Option<Error> = None;
        loop {
            let answer = match self.ask(turn).await {
                Ok(answer) => answer,
                Err(e) => return Err(last.unwrap_or(e)),
            };
            match self.judge(answer) {
                Verdict::Done(result) => return Ok(result),
                Verdict::Refused(error) => return Err(error),
                Verdict::Unusable { problem, shown, reply } => {
                    let error = invalid_reply(&problem, &shown);
                    if self.reply_retries == REPLY_RETRIES {
                        return Err(error);
                    }
                    last = Some(error);
                    self.correct(&problem, reply);
                }
                Verdict::Failed { error, at_least } => {
                    // On top of what the proxy asks for: those whom it sends away together must not come back together.
                    let wait = spread_wait(FIRST_WAIT, self.failure_retries.into(), LAST_WAIT, SPREAD).saturating_add(at_least);
                    let now = Instant::now();
                    let is_late = self.deadline.saturating_duration_since(now) <= wait;
                    if self.failure_retries == FAILURE_RETRIES || is_late || self.shared.breaker.refuses(now).is_some() {
                        return Err(error);
                    }
                    last = Some(error);
                    self.failure_retries += 1;
                    self.shared.tally.lock().retried_failures += 1;
                    sleep(wait).await;
                }
            }
            // A request without time is paid for and thrown away.
            if self.deadline.saturating_duration_since(Instant::now()) < (self.shared.settings.deadline / 20).min(LEAST_TIME)
                && let Some(last) = last
            {
                return Err(last);
            }
            turn = Turn::queue(self.shared);
        }
    }

    /// Sends the conversation, when it is our turn and the proxy is not known to be down.
    async fn ask(&mut self, turn: Result<Turn>) -> Result<Result<(Answer, Received), Failure>> {
        let Self { shared, deadline, .. } = *self;
        let settings = &shared.settings;
        // Nobody waits for a turn only to be refused.
        if let Some(left) = shared.breaker.refuses(Instant::now()) {
            return Err(shared.refused(left));
        }
        let _turn = turn?.take(shared, deadline).await?;
        let client = shared.client()?;
        let payload = Payload { model: MODEL, messages: &self.messages, temperature: TEMPERATURE };
        let body = serde_json::to_string(&payload).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        let now = Instant::now();
        let patience = settings.timeout.min(deadline.saturating_duration_since(now));
        self.patience = patience;
        let pass = shared.breaker.admit(now).map_err(|left| shared.refused(left))?;
        let underway = Underway { shared, pass: Some(pass), began: now };
        self.attempts += 1;
        shared.tally.lock().attempts += 1;
        let _in_flight = Counted::new(shared, |tally| &mut tally.in_flight);
        let answer = client.post(settings, body, patience).await.map(|received| (read_answer(&received.body), received));
        match &answer {
            // No working proxy says so.
            Ok((Answer::Error(Some(500..)) | Answer::Foreign(_), received)) => {
                underway.failed(format!("200: {}", self.shown(&received.body)));
            }
            Err(Failure::Unreachable(problem)) => underway.failed(problem.clone()),
            // Whether that says anything depends on how long it was.
            Err(Failure::Late) => drop(underway),
            Err(Failure::Status { status, problem, .. }) if *status >= 500 => underway.failed(format!("{status}: {problem}")),
            _ => underway.answered(),
        }
        Ok(answer)
    }

    /// Which time was up.
    fn late(&self) -> String {
        let LlmSettings { timeout, deadline, .. } = &*self.shared.settings;
        if self.patience == *timeout {
            format!("no answer within {} ms (litellm.timeoutMs)", timeout.as_millis())
        } else {
            format!("no answer within the {} ms that a call may take (litellm.deadlineMs)", deadline.as_millis())
        }
    }

    /// The first of what the proxy said, for people.
    fn shown(&self, said: &[u8]) -> String {
        excerpt(&self.shared.settings.key.redact(&String::from_utf8_lossy(said)))
    }

    fn judge(&mut self, answer: Result<(Answer, Received), Failure>) -> Verdict {
        let url = || self.shared.settings.shown_url();
        let unreachable = |problem: String| {
            let error = Error::new(ErrorKind::LlmUnreachable, format!("the LLM proxy at {}: {problem}", url()));
            Verdict::Failed { error, at_least: Duration::ZERO }
        };
        let unusable = |problem: &str, shown: String, reply| Verdict::Unusable { problem: problem.to_owned(), shown, reply };
        let of_status = |status: u16, message: String, retry_after: Option<Duration>| {
            let error = Error::llm_status(status, message);
            let at_least = retry_after.unwrap_or_default();
            if status == 429 || status >= 500 { Verdict::Failed { error, at_least } } else { Verdict::Refused(error) }
        };
        let (answer, Received { body, retry_after }) = match answer {
            Ok(answer) => answer,
            Err(Failure::TooLarge) => return unusable("the proxy's answer is larger than 1 MiB", "(not read)".to_owned(), None),
            Err(Failure::Unreachable(problem)) => return unreachable(problem),
            Err(Failure::Late) => return unreachable(self.late()),
            Err(Failure::Status { status, problem, retry_after }) => {
                return of_status(status, format!("the LLM proxy at {} answered {status}: {problem}", url()), retry_after);
            }
        };
        let completion = match answer {
            Answer::Completion(completion) => completion,
            Answer::Error(Some(status)) => {
                let message =
                    format!("the LLM proxy at {} answered 200 with an error of status {status}: {}", url(), self.shown(&body));
                return of_status(status, message, retry_after);
            }
            Answer::Error(None) => return self.failed("the proxy answered with an error", &body, retry_after),
            Answer::Foreign(problem) => return self.failed(problem, &body, retry_after),
        };
        let Completion { said, finish, model, usage } = completion;
        self.count(usage);
        // Why the model stopped, where that tells more than the text.
        let because = match finish.unusual() {
            None => String::new(),
            Some(reason) if finish.is_cut() => format!(", {CUT} (finish_reason: {})", self.shown(reason.as_bytes())),
            Some(reason) => format!(" (finish_reason: {})", self.shown(reason.as_bytes())),
        };
        if finish.is_filtered() {
            // Not shown to the model again: the filter would see it, too.
            return unusable(&format!("a filter of the provider's stopped it{because}"), self.shown(&body), None);
        }
        let content = match said {
            Said::Text(content) => content,
            Said::Refusal(refusal) => {
                return unusable(&format!("the model declined{because}"), self.shown(refusal.as_bytes()), Some(refusal));
            }
            // What the proxy says instead is for people; the model is not told.
            Said::Nothing(problem) => return unusable(&format!("{problem}{because}"), self.shown(&body), None),
        };
        let shown = self.shown(content.as_bytes());
        let list = match extract(&content, finish.is_cut()) {
            Ok(list) => list,
            Err(problem) => return unusable(&format!("{problem}{because}"), shown, Some(content)),
        };
        let Self { prompt, request, .. } = *self;
        let taken: HashSet<&str> = request.context.tasks.iter().filter_map(|task| task.get("id")?.as_str()).collect();
        let (candidates, dropped) = read_items(&list, request.n, &prompt.version, &taken);
        if candidates.is_empty() && !list.items.is_empty() {
            let reason = dropped.first().map(|dropped| dropped.reason.as_str()).unwrap_or_default();
            return unusable(&format!("none of its items had usable content ({reason}){because}"), shown, Some(content));
        }
        Verdict::Done(GenerateResult {
            candidates,
            model: model.map_or_else(|| MODEL.to_owned(), |model| self.shared.settings.key.redact(&model)),
            prompt_version: prompt.version.clone(),
            prompt_tokens: self.usage.prompt,
            completion_tokens: self.usage.completion,
            dropped,
            attempts: self.attempts,
        })
    }

    /// Something else than a model's reply came with a status of success: the proxy is asked again, later.
    fn failed(&self, problem: &str, body: &[u8], retry_after: Option<Duration>) -> Verdict {
        Verdict::Failed { error: invalid_reply(problem, &self.shown(body)), at_least: retry_after.unwrap_or_default() }
    }

    fn count(&mut self, usage: Usage) {
        self.usage.prompt = self.usage.prompt.saturating_add(usage.prompt);
        self.usage.completion = self.usage.completion.saturating_add(usage.completion);
        let mut tally = self.shared.tally.lock();
        tally.prompt_tokens = tally.prompt_tokens.saturating_add(usage.prompt);
        tally.completion_tokens = tally.completion_tokens.saturating_add(usage.completion);
    }

    /// Goes on with the conversation after a reply that cannot be used; where none was read, the same is asked again.
    fn correct(&mut self, problem: &str, reply: Option<String>) {
        self.reply_retries += 1;
        self.shared.tally.lock().retried_replies += 1;
        let Some(reply) = reply else { return };
        let mut content: String = reply.chars().take(LONGEST_FED_BACK).collect();
        if content.trim().is_empty() {
            // Some providers refuse empty turns.
            "(empty)".clone_into(&mut content);
        }
        self.messages.push(Message { role: "assistant", content });
        let n = self.request.n;
        let correction = format!(
            "Your previous reply could not be used: {problem}. Reply again in the form asked for above: a JSON array of {n} objects, each \
             with a string \"content\", and nothing else: no prose before or after it, no markdown fences, no trailing commas."
        );
        self.messages.push(Message { role: "user", content: correction });
    }
}

fn invalid_reply(problem: &str, shown: &str) -> Error {
    Error::new(ErrorKind::LlmInvalidReply, format!("the model's reply cannot be used, {problem}: {shown}"))
}
