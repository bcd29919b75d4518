//! What a try at an endpoint came to, where that is nothing good: who hears of it, and what the client is told if nothing follows.

use palisade_contract::UpstreamFault;

use crate::body::Upload;
use crate::error::RequestError;
use crate::upstream::Connection;
use crate::upstream::asked::Answer;
use crate::upstream::late::Late;
use crate::upstream::tries::Miss;
use crate::upstream::unanswered::Unanswered;

/// A try that came to nothing, or to nothing good.
pub(super) struct Missed {
    pub(super) miss: Miss,
    error: RequestError,
    /// What the endpoint said, where it said something.
    answer: Option<Box<Answer>>,
}

impl Missed {
    pub(super) fn connect(error: RequestError) -> Self {
        let miss = match error {
            RequestError::ConnectTimeout => Miss::ConnectTimeout,
            RequestError::Circuit(_) => Miss::Final,
            _ => Miss::Connect,
        };
        Self { miss, error, answer: None }
    }

    pub(super) fn unanswered(miss: Miss, error: RequestError) -> Self {
        Self { miss, error, answer: None }
    }

    /// This answer is none that is wanted.
    pub(super) fn answered(answer: Answer) -> Self {
        let miss = Miss::Status(answer.head.status);
        Self { miss, error: RequestError::NoEndpoint, answer: Some(Box::new(answer)) }
    }

    /// Nothing more is tried.
    pub(super) fn last(error: RequestError) -> Self {
        Self { miss: Miss::Final, error, answer: None }
    }

    /// What the client is told, where this was the last try.
    pub(super) fn told(self) -> Result<Answer, RequestError> {
        self.answer.map_or(Err(self.error), |answer| Ok(*answer))
    }
}

impl From<Missed> for RequestError {
    fn from(missed: Missed) -> Self {
        missed.error
    }
}

pub(super) fn too_late(connection: &Connection, late: &Late) -> Missed {
    match late {
        Late::Endpoint => {
            connection.distrust();
            connection.failed(UpstreamFault::ResponseTimeout);
            Missed::unanswered(Miss::Timeout, RequestError::ResponseTimeout)
        }
        Late::Client => Missed::unanswered(Miss::Final, RequestError::BodyTimeout),
    }
}

pub(super) fn unanswered_by(connection: &Connection, unanswered: &Unanswered, upload: &Upload, miss: Miss) -> Missed {
    let (fault, error) = unanswered.decided(upload);
    match fault {
        Some(fault) => {
            connection.failed(fault);
            Missed::unanswered(miss, error)
        }
        // It is not the endpoint's doing.
        None => Missed::unanswered(Miss::Final, error),
    }
}
