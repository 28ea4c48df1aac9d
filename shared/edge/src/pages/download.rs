//! Lists as CSV files.

use pages::{Money, usage::csv_line};

use super::{
    calls,
    page_context::{PageContext, csv},
    requests,
    table::PageFuture,
    usage,
};

/// How many calls one file has at most.
const MAX_CALLS: usize = 1000;

const CALL_COLUMNS: &str = "ended_at,id,tenant,outcome,status,requested_model,provider,model,attempts,\
                            input_tokens,output_tokens,cost_usd,duration_ms,first_token_ms,session\n";

pub(super) fn requests(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let names = context.names().await?;
        let filter = requests::filter_of(context, &names);
        let found = requests::read(context, &filter, MAX_CALLS).await?;
        let mut text = CALL_COLUMNS.to_owned();
        for call in &found.calls {
            let (tokens, number) = (call.tokens(), |it: Option<u64>| it.map(|it| it.to_string()));
            text.push_str(&csv_line(&[
                pages::Moment(call.ended()).rfc3339(),
                call.id.clone(),
                calls::tenant_name(call, &names),
                call.outcome.clone(),
                call.status.map(|it| it.to_string()).unwrap_or_default(),
                call.requested_model.clone().unwrap_or_default(),
                call.provider.clone().unwrap_or_default(),
                call.sent_model.clone().unwrap_or_default(),
                call.attempts.len().to_string(),
                tokens.all_input().to_string(),
                tokens.all_output().to_string(),
                call.cost.map(|it| Money(it).exact()).unwrap_or_default(),
                call.total_ms.to_string(),
                number(call.first_token_ms).unwrap_or_default(),
                call.session.clone().unwrap_or_default(),
            ]));
        }
        csv("requests.csv", text)
    })
}

pub(super) fn usage(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (days, names) = (usage::whole_month(context).await?, context.names().await?);
        let mut text =
            "day,tenant,provider,model,calls,input_tokens,output_tokens,cost_usd,unpriced\n"
                .to_owned();
        for day in &days {
            let name = pages::Moment(day.period.start()).rfc3339();
            let name = name.get(..10).unwrap_or_default();
            let groups = day
                .sums
                .grouped(|key| (key.tenant.clone(), key.provider.clone(), key.model.clone()));
            for ((tenant, provider, model), sum) in groups {
                let tokens = sum.tokens();
                let tenant = names.get(&tenant).cloned().unwrap_or(tenant);
                text.push_str(&csv_line(&[
                    name.to_owned(),
                    tenant,
                    provider,
                    model,
                    sum.calls.to_string(),
                    tokens.all_input().to_string(),
                    tokens.all_output().to_string(),
                    Money(sum.cost).exact(),
                    sum.unpriced.to_string(),
                ]));
            }
        }
        csv("usage.csv", text)
    })
}
