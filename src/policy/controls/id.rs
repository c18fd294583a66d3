//! The ids of controls. An id that is not here does not compile, and neither does one without a row in the table.

use std::fmt;

use super::{CONTROLS, Control};

macro_rules! control_ids {
    ($($variant:ident => $text:literal,)*) => {
        /// The id of a control, which exceptions, reports and suppressions name: `PSS-<check>` or `HB-...`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ControlId {
            $(#[doc = $text] $variant,)*
        }

        impl ControlId {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The id as people write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

// Pod Security checks, the guide's, files, the cluster, objects beside pods: the order of the table.
control_ids! {
    PssHostNamespaces => "PSS-hostNamespaces",
    PssPrivileged => "PSS-privileged",
    PssCapabilitiesBaseline => "PSS-capabilities_baseline",
    PssHostPathVolumes => "PSS-hostPathVolumes",
    PssHostPorts => "PSS-hostPorts",
    PssHostProbesAndHostLifecycle => "PSS-hostProbesAndHostLifecycle",
    PssAppArmorProfile => "PSS-appArmorProfile",
    PssSeLinuxOptions => "PSS-seLinuxOptions",
    PssProcMount => "PSS-procMount",
    PssSeccompProfileBaseline => "PSS-seccompProfile_baseline",
    PssSysctls => "PSS-sysctls",
    PssWindowsHostProcess => "PSS-windowsHostProcess",
    PssRestrictedVolumes => "PSS-restrictedVolumes",
    PssAllowPrivilegeEscalation => "PSS-allowPrivilegeEscalation",
    PssRunAsNonRoot => "PSS-runAsNonRoot",
    PssRunAsUser => "PSS-runAsUser",
    PssSeccompProfileRestricted => "PSS-seccompProfile_restricted",
    PssCapabilitiesRestricted => "PSS-capabilities_restricted",
    PssProcMountRestricted => "PSS-procMount_restricted",
    HbRofs => "HB-ROFS",
    HbUid => "HB-UID",
    HbGid => "HB-GID",
    HbFsg => "HB-FSG",
    HbSeccompLocal => "HB-SECCOMP-LOCAL",
    HbRes => "HB-RES",
    HbImgRegistry => "HB-IMG-REGISTRY",
    HbImgBase => "HB-IMG-BASE",
    HbImgTag => "HB-IMG-TAG",
    HbPort => "HB-PORT",
    HbSecretLiteral => "HB-SECRET-LITERAL",
    HbSecretEnv => "HB-SECRET-ENV",
    HbToken => "HB-TOKEN",
    HbLogEnv => "HB-LOG-ENV",
    HbLogRo => "HB-LOG-RO",
    HbDfUser => "HB-DF-USER",
    HbDfStage => "HB-DF-STAGE",
    HbDfBase => "HB-DF-BASE",
    HbDfSecret => "HB-DF-SECRET",
    HbDfFetch => "HB-DF-FETCH",
    HbDfClean => "HB-DF-CLEAN",
    HbDfHealth => "HB-DF-HEALTH",
    HbDfCmd => "HB-DF-CMD",
    HbDfExpose => "HB-DF-EXPOSE",
    HbDfInstall => "HB-DF-INSTALL",
    HbDfPin => "HB-DF-PIN",
    HbDfSudo => "HB-DF-SUDO",
    HbDfWorkdir => "HB-DF-WORKDIR",
    HbVuln => "HB-VULN",
    HbSecretGit => "HB-SECRET-GIT",
    HbSecretConfig => "HB-SECRET-CONFIG",
    HbEso => "HB-ESO",
    HbEsoLacks => "HB-ESO-LACKS",
    HbEsoDiffers => "HB-ESO-DIFFERS",
    HbNpOpen => "HB-NP-OPEN",
    HbNpDeny => "HB-NP-DENY",
    HbNpAllow => "HB-NP-ALLOW",
    HbPull => "HB-PULL",
    HbPullAttach => "HB-PULL-ATTACH",
    HbMtls => "HB-MTLS",
    HbAuthz => "HB-AUTHZ",
    HbFalcoShell => "HB-FALCO-SHELL",
    HbSign => "HB-SIGN",
    HbPsa => "HB-PSA",
    HbCi => "HB-CI",
    HbRbacWildcard => "HB-RBAC-WILDCARD",
    HbRbacAdmin => "HB-RBAC-ADMIN",
    HbRbacSecrets => "HB-RBAC-SECRETS",
    HbRbacEscalate => "HB-RBAC-ESCALATE",
    HbSvcNodePort => "HB-SVC-NODEPORT",
    HbSvcExternalIp => "HB-SVC-EXTERNALIP",
    HbSvcSelector => "HB-SVC-SELECTOR",
    HbIngTls => "HB-ING-TLS",
    HbNpNone => "HB-NP-NONE",
    HbProcNs => "HB-PROC-NS",
    HbTokenDefault => "HB-TOKEN-DEFAULT",
    HbProbe => "HB-PROBE",
    HbReplicas => "HB-REPLICAS",
    HbPdb => "HB-PDB",
    HbSchema => "HB-SCHEMA",
    HbApi => "HB-API",
    HbInvalid => "HB-INVALID",
}

impl ControlId {
    /// The id that a user wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.as_str() == text)
    }

    /// Its row of the table.
    pub fn control(self) -> &'static Control {
        // The table is in the order of the enum, which the compiler checks.
        CONTROLS[self as usize]
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
