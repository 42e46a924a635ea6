//! The channels of the configuration, made ready to send.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cli::exit::{Exit, Failure};
use crate::config::{self, ChannelKind, Config};
use crate::daemon::Channel;
use crate::notify::Notifier;
use crate::notify::command::{CommandSettings, Program};
use crate::notify::email::{Email, EmailSettings, Login, Tls};
use crate::notify::setup::{Reach, SetupError};
use crate::notify::slack::{self, Slack, SlackSettings, SlackWay};
use crate::notify::webhook::{Webhook, WebhookSettings};
use crate::sched::id::ScheduleName;
use crate::sched::notice::Notice;

/// Every channel, with what it wants to hear.
pub(super) fn channels(config: &Config) -> Result<Vec<Channel>, Failure> {
    let all = config.channels.iter();
    all.map(|channel| channel_of(channel, config)).collect()
}

fn channel_of(channel: &config::Channel, config: &Config) -> Result<Channel, Failure> {
    let heard = config
        .schedules
        .iter()
        .filter(|schedule| channel.hears(schedule));
    let heard: HashSet<ScheduleName> = heard.map(|schedule| schedule.name.clone()).collect();
    let known: HashSet<ScheduleName> = config.schedules.iter().map(|s| s.name.clone()).collect();
    let (on, hears_all) = (channel.on.clone(), channel.hears_all());
    let wants = move |notice: &Notice| {
        let kind = on.as_ref().is_none_or(|on| on.contains(&notice.kind));
        kind && match &notice.schedule {
            Some(schedule) if known.contains(schedule) => heard.contains(schedule),
            _ => hears_all,
        }
    };
    Ok(Channel {
        name: channel.name.clone(),
        notifier: notifier(channel)?,
        wants: Arc::new(wants),
    })
}

/// The way there.
pub fn notifier(channel: &config::Channel) -> Result<Arc<dyn Notifier>, Failure> {
    made(channel).map_err(|error| {
        Failure::plain(
            Exit::Config,
            format!("channel {} cannot be used: {error}", channel.name),
        )
    })
}

fn made(channel: &config::Channel) -> Result<Arc<dyn Notifier>, SetupError> {
    let reach = |ca_file| Reach {
        timeout: channel.timeout,
        ca_file,
        proxy: None,
    };
    let slack = |way| {
        let reach = reach(None);
        Slack::new(SlackSettings { way, reach })
    };
    Ok(match channel.kind.clone() {
        ChannelKind::Webhook {
            url,
            secret,
            ca_file,
        } => Arc::new(Webhook::new(WebhookSettings {
            url,
            secret,
            reach: reach(ca_file),
        })?),
        ChannelKind::SlackWebhook { url } => Arc::new(slack(SlackWay::Webhook { url })?),
        ChannelKind::SlackBot { token, channel } => Arc::new(slack(SlackWay::Bot {
            token,
            channel,
            api: slack::API.to_owned(),
        })?),
        ChannelKind::Email {
            host,
            port,
            tls,
            login,
            from,
            to,
        } => Arc::new(Email::new(EmailSettings {
            port: Some(port),
            tls: match tls {
                config::Tls::StartTls => Tls::StartTls,
                config::Tls::Implicit => Tls::Implicit,
                config::Tls::None => Tls::None,
            },
            login: login.map(|(username, password)| Login { username, password }),
            timeout: channel.timeout,
            ..EmailSettings::new(host, from, to)
        })?),
        ChannelKind::Command(words) => {
            let mut words = words.into_iter();
            let program = words.next().unwrap_or_default();
            Arc::new(Program::new(CommandSettings {
                arguments: words.collect(),
                timeout: channel.timeout,
                ..CommandSettings::new(program)
            })?)
        }
    })
}
